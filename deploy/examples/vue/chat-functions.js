// The old page's two functions with the same names, arguments and results, on <mcp-chat>. A Vue mixin, for Vue 2 and 3:
//
//     import { chatFunctions } from './chat-functions.js';
//     new Vue({ mixins: [chatFunctions], … });

import '/assets/mcp-chat.js';

export const chatFunctions = {
    methods: {
        /** Sends a payload, shows it with its replies in the page's <mcp-chat>, and returns the replies. */
        async _callApiAndHandleReplies(payload) {
            const reply = await document.querySelector('mcp-chat').send(payload);
            return reply ? reply.replies : [];
        },

        /** Calls a tool directly and returns its results; a tool's own error is thrown with its text. */
        async callMcp(command, args) {
            const response = await fetch('/mcp/', {
                method: 'POST',
                credentials: 'same-origin',
                headers: { 'Content-Type': 'application/json' },
                body: JSON.stringify({ command, arguments: args }),
            });
            const data = await response.json().catch(() => ({ error: `Status ${response.status}` }));
            if (data.error) throw new Error(data.error.message ?? data.error);
            return data.results;
        },
    },
};
