// The panel of the last exchange: what the page sent, what MCP carried, where the time went, and how to repeat it.

import { codeBlock, element, Texts } from './mcp-chat.js?v=dev';

const texts = new Texts();
const SHOWN = 6000;
const pretty = (value) => JSON.stringify(value, null, 2);

/** Fills the panel. */
export function showExchange(parts, record, type) {
    parts.timing.replaceChildren(...timing(record));
    parts.front.replaceChildren(...front(record));
    parts.mcp.replaceChildren(...mcp(record, type));
    parts.curl.replaceChildren(codeBlock(curlLine(record), texts, 'sh'));
}

// MARK: Time

function timing(record) {
    const at = (name) => record.timing.find((entry) => entry.name === name)?.ms ?? 0;
    const seen = record.duration ?? 0;
    const total = at('total');
    const isStream = record.events > 0;
    // The header of a stream leaves before the tool has answered: it says nothing of the answer's time.
    const parts = isStream
        ? [['gateway', 'until the stream began', record.firstByte ?? 0], ['upstream', 'stream', seen - (record.firstByte ?? 0)]]
        : record.timing.length === 0 ? [['network', 'as the browser saw it', seen]] : [
            ['session', 'MCP session', at('session')],
            ['upstream', 'tool', at('upstream')],
            ['gateway', 'gateway itself', Math.max(0, total - at('session') - at('upstream'))],
            ['network', 'network and browser', Math.max(0, seen - total)],
        ];
    const bar = element('div', { className: 'timing', 'aria-hidden': 'true' });
    const legend = element('ul', { className: 'legend' });
    for (const [name, label, ms] of parts) {
        const piece = element('span', { className: `timing-${name}` });
        piece.style.flexGrow = String(ms);
        bar.append(piece);
        legend.append(element('li', {}, element('i', { className: `timing-${name}`, 'aria-hidden': 'true' }), `${label} ${format(ms)}`));
    }
    const source = isStream || record.timing.length === 0 ? 'Measured by the browser.' : 'From Server-Timing; the last part is measured by the browser.';
    return [bar, legend, element('p', { className: 'hint' }, source)];
}

const format = (ms) => `${ms < 10 ? ms.toFixed(2) : Math.round(ms)}\u00a0ms`;

// MARK: As it was sent

function front(record) {
    const { method, url, headers, body } = record.sent;
    const request = [
        `${method} ${new URL(url).pathname}`, ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`), '',
        pretty(JSON.parse(body)),
    ].join('\n');
    const response = record.status === 0
        ? 'No response.'
        : [
            `${record.status}`, ...record.headers.map(([name, value]) => `${name}: ${value}`), '', cut(readable(record)),
        ].join('\n');
    return [
        element('h4', {}, 'Request'), codeBlock(request, texts, 'Request'),
        element('h4', {}, record.events > 0 ? `Response, ${record.events} ${record.events === 1 ? 'event' : 'events'}` : 'Response'),
        codeBlock(response, texts, 'Response'),
    ];
}

function readable(record) {
    try {
        return pretty(JSON.parse(record.body));
    } catch {
        return record.body;
    }
}

const cut = (text) => (text.length > SHOWN ? `${text.slice(0, SHOWN)}\n…` : text);

// MARK: As MCP carried it

/** The arguments that the type map makes of a payload. */
export function toolArguments(payload, tool) {
    const result = {};
    for (const [target, rule] of Object.entries(tool.arguments)) {
        let value = 'value' in rule ? rule.value : payload[rule.from ?? target] ?? rule.default;
        if (rule.trim && typeof value === 'string') value = value.trim();
        if (value !== undefined) result[target] = value;
    }
    return result;
}

function mcp(record, type) {
    const tool = type?.tool;
    if (!tool) return [element('p', { className: 'hint' }, 'The gateway does not say which tool this type calls.')];
    const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: tool.name, arguments: toolArguments(record.payload, tool) } };
    const nodes = [
        element(
            'p', { className: 'hint' },
            'Derived in this page from the type map in openapi.json. The gateway uses an id of its own and adds what '
                + 'the protocol’s version asks for: session, _meta, headers.',
        ),
        codeBlock(pretty(call), texts, 'tools/call'),
    ];
    if (!tool.readOnly) {
        nodes.push(element('p', { className: 'hint' }, 'This tool is not read-only, so the page does not call it a second time.'));
        return nodes;
    }
    const button = element('button', { type: 'button' }, 'Make the same call at /mcp/');
    const output = element('div', { 'aria-live': 'polite' });
    button.addEventListener('click', async () => {
        button.disabled = true;
        output.replaceChildren(...(await callOverMCP(call)));
        button.disabled = false;
    });
    nodes.push(button, output);
    return nodes;
}

/** The real messages of the same call, through the gateway's pass-through. */
async function callOverMCP(call) {
    try {
        const opened = await fetch(new URL('mcp/session/new', document.baseURI), { credentials: 'same-origin' });
        const session = opened.headers.get('Mcp-Session-Id');
        if (!session) return [element('p', { className: 'wrong' }, `No MCP session: status ${opened.status}.`)];
        const headers = { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream', 'Mcp-Session-Id': session };
        const url = new URL('mcp/', document.baseURI);
        const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(call), credentials: 'same-origin' });
        const text = await response.text();
        // Nobody else knows the session: it is not left behind.
        fetch(url, { method: 'DELETE', headers: { 'Mcp-Session-Id': session }, credentials: 'same-origin' }).catch(() => {});
        const message = /^data: ?(\{.*)$/m.exec(text)?.[1] ?? text;
        const sent = [`POST ${url.pathname}`, ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`)].join('\n');
        return [
            element('h4', {}, 'Sent'), codeBlock(`${sent}\n\n${pretty(call)}`, texts, 'Sent'),
            element('h4', {}, 'Received'),
            codeBlock(`${response.status} ${response.headers.get('Content-Type') ?? ''}\n\n${cut(pretty(JSON.parse(message)))}`, texts, 'Received'),
        ];
    } catch (error) {
        return [element('p', { className: 'wrong' }, `The call did not succeed: ${error.message}.`)];
    }
}

// MARK: curl

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** A line for a POSIX shell that sends the same payload. */
export function curlLine({ sent }) {
    const isStream = sent.headers.Accept.startsWith('text/event-stream');
    const accept = isStream ? ` \\\n  -N -H 'Accept: text/event-stream'` : '';
    return `curl -s ${quoted(sent.url)}${accept} \\\n  -H 'Content-Type: application/json' \\\n  -d ${quoted(sent.body)}`;
}
