// A Vue page as it was written for the old API. Not one line had to change: /api/chat/ and /mcp/ answer as they did.

function csrfToken() {
    return (document.cookie.match(/(?:^|; )csrftoken=([^;]*)/) || [])[1] || '';
}

function post(url, body) {
    return fetch(url, {
        method: 'POST',
        credentials: 'same-origin',
        headers: { 'Content-Type': 'application/json', 'X-CSRFToken': csrfToken() },
        body: JSON.stringify(body),
    });
}

window.oldPage = new Vue({
    el: '#old',
    data: { query: 'urgent', messages: [], isLoading: false },
    methods: {
        async _callApiAndHandleReplies(payload) {
            this.isLoading = true;
            try {
                const response = await post('/api/chat/', payload);
                const text = await response.text();
                if (!response.ok) throw new Error(text);
                const replies = JSON.parse(text).replies;
                for (const reply of replies) this.messages.push(reply);
                return replies;
            } catch (error) {
                this.messages.push('Error: ' + error.message);
                return [];
            } finally {
                this.isLoading = false;
            }
        },

        async callMcp(command, args) {
            const response = await post('/mcp/', { command: command, arguments: args });
            const data = await response.json();
            if (data.error) throw new Error(data.error);
            return data.results;
        },

        search() {
            return this._callApiAndHandleReplies({ type: 'search_any', model: 'projects', query: this.query });
        },
    },
    render(h) {
        return h('div', { attrs: { id: 'old' } }, [
            h('form', { on: { submit: (event) => { event.preventDefault(); this.search(); } } }, [
                h('input', {
                    attrs: { 'aria-label': 'Search projects' },
                    domProps: { value: this.query },
                    on: { input: (event) => { this.query = event.target.value; } },
                }),
                h('button', this.isLoading ? '…' : 'Search'),
            ]),
            h('ul', this.messages.map((message) => h('li', [
                message.url ? h('a', { attrs: { href: message.url } }, message.name) : String(message),
            ]))),
        ]);
    },
});
