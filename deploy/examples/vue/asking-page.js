// The page of old-page.js with the lines that let its user answer a tool (`chat.questions`), marked NEW.

import { askUser } from './ask-user.js'; // NEW

async function post(payload) {
    const response = await fetch('/api/chat/', {
        method: 'POST',
        credentials: 'same-origin',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(payload),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(text.startsWith('{') ? JSON.parse(text).error : text);
    return JSON.parse(text);
}

window.askingPage = new window.Vue({
    el: '#asking',
    data: { message: '', messages: [] },
    methods: {
        async _callApiAndHandleReplies(payload) {
            const { replies, question } = await post(payload);
            if (question) return askUser(this.$refs.question, question, this._callApiAndHandleReplies); // NEW
            this.messages.push(...replies);
            return replies;
        },

        async ask() {
            try {
                await this._callApiAndHandleReplies({ type: 'chat', message: this.message });
            } catch (error) {
                this.messages.push('Error: ' + error.message);
            }
        },
    },
    render(h) {
        return h('div', { attrs: { id: 'asking' } }, [
            h('form', { on: { submit: (event) => { event.preventDefault(); this.ask(); } } }, [
                h('input', {
                    attrs: { 'aria-label': 'Message to the assistant' },
                    domProps: { value: this.message },
                    on: { input: (event) => { this.message = event.target.value; } },
                }),
                h('button', 'Send'),
            ]),
            h('div', { ref: 'question', key: 'question' }), // NEW
            h('ul', this.messages.map((message) => h('li', String(message)))),
        ]);
    },
});
