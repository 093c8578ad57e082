// Questions of tools in a page that shows its replies itself: the form of <mcp-chat>, without the chat.

import { QuestionForm, Texts } from '/assets/mcp-chat.js';

/** Shows a question in `place`; resolves with what `send` returned for the answer that was accepted. */
export function askUser(place, question, send) {
    return new Promise((resolve) => {
        const context = { texts: new Texts(), base: document.baseURI, locale: navigator.language };
        const form = new QuestionForm(question, context, async (answer) => {
            try {
                const replies = await send(answer);
                form.settled(answer.action);
                resolve(replies);
            } catch (error) {
                form.failed(error.message);
            }
        });
        place.replaceChildren(form.node);
        form.focus();
    });
}
