// The page of old-page.js with its own two functions and its own list of messages taken out: the component shows them.

import { chatFunctions } from './chat-functions.js';

window.newPage = new window.Vue({
    el: '#new',
    mixins: [chatFunctions],
    data: { query: 'urgent' },
    methods: {
        search() {
            return this._callApiAndHandleReplies({ type: 'search_any', model: 'projects', query: this.query });
        },
    },
    render(h) {
        return h('form', { on: { submit: (event) => { event.preventDefault(); this.search(); } } }, [
            h('input', {
                attrs: { 'aria-label': 'Search projects in the chat' },
                domProps: { value: this.query },
                on: { input: (event) => { this.query = event.target.value; } },
            }),
            h('button', 'Search'),
        ]);
    },
});
