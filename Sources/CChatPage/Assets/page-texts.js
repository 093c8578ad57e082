// Texts of the page around the component. The gateway's configuration replaces texts of both by name (`pageTexts`), and
// `lang` and `dir` with them. Texts of index.html are known here only by their names; {0}, {1} … in a text are the
// elements of the original: { 'login.hint': 'Die Passwörter hat {0} ausgegeben.' }

import { Texts } from './mcp-chat.js?v=dev';

const english = {
    'login.failed': 'The login did not work',
    'login.somebody': 'unnamed user',
    'page.unreachable': 'The server cannot be reached.',
    'types.send': 'Send {type}',
    'types.default': 'default',
    'types.unknown': 'Its tool is not known: the upstream cannot be reached.',
    'types.tool': 'Tool',
    'types.upstream': 'from {upstream}',
    'types.readOnly': 'read-only',
    'time.began': 'until the stream began',
    'time.stream': 'stream',
    'time.seen': 'as the browser saw it',
    'time.session': 'MCP session',
    'time.tool': 'tool',
    'time.gateway': 'gateway itself',
    'time.network': 'network and browser',
    'time.measured': 'Measured by the browser.',
    'time.header': 'From Server-Timing; the last part is measured by the browser.',
    'front.request': 'Request',
    'front.response': 'Response',
    'front.events': 'Response, events: {count}',
    'front.none': 'No response.',
    'mcp.unknown': 'The gateway does not say which tool this type calls.',
    'mcp.derived': 'Derived in this page from the type map in openapi.json. The gateway uses an id of its own and adds '
        + 'what the protocol’s version asks for: session, _meta, headers.',
    'mcp.writes': 'This tool is not read-only, so the page does not call it a second time.',
    'mcp.again': 'Make the same call at /mcp/',
    'mcp.noSession': 'No MCP session: status {status}.',
    'mcp.sent': 'Sent',
    'mcp.received': 'Received',
    'mcp.failed': 'The call did not succeed: {reason}.',
};

/** The texts that the configuration replaces; the gateway writes them into the document. */
const own = JSON.parse(document.getElementById('texts').textContent);

export const texts = new Texts({ ...english, ...own });

/** Replaces the document's texts and the component's. */
export function translate(chat) {
    const { lang, dir } = own;
    if (lang) document.documentElement.lang = lang;
    if (dir) document.documentElement.dir = dir;
    for (const node of document.querySelectorAll('[data-text]')) {
        const text = own[node.dataset.text];
        if (text === undefined) continue;
        const children = [...node.children];
        node.replaceChildren(...text.split(/\{(\d)\}/).map((part, index) => (index % 2 === 0 ? part : children[part] ?? '')));
    }
    for (const node of document.querySelectorAll('[data-label]')) node.ariaLabel = own[node.dataset.label] ?? node.ariaLabel;
    if (Object.keys(own).length > 0) chat.texts = own;
}
