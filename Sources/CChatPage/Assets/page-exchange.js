// The panel of the last exchange: the request, the MCP messages, the time by its parts, and a command to repeat it.

import { codeBlock, element } from './mcp-chat.js?v=dev';
import { texts } from './page-texts.js?v=dev';

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
    // A stream's headers are sent before the tool has answered: Server-Timing does not cover the answer.
    const parts = isStream
        ? [['gateway', texts.get('time.began'), record.firstByte ?? 0], ['upstream', texts.get('time.stream'), seen - (record.firstByte ?? 0)]]
        : record.timing.length === 0 ? [['network', texts.get('time.seen'), seen]] : [
            ['session', texts.get('time.session'), at('session')],
            ['upstream', texts.get('time.tool'), at('upstream')],
            ['gateway', texts.get('time.gateway'), Math.max(0, total - at('session') - at('upstream'))],
            ['network', texts.get('time.network'), Math.max(0, seen - total)],
        ];
    const bar = element('div', { className: 'timing', 'aria-hidden': 'true' });
    const legend = element('ul', { className: 'legend' });
    for (const [name, label, ms] of parts) {
        const piece = element('span', { className: `timing-${name}` });
        piece.style.flexGrow = String(ms);
        bar.append(piece);
        legend.append(element('li', {}, element('i', { className: `timing-${name}`, 'aria-hidden': 'true' }), `${label} ${format(ms)}`));
    }
    const source = isStream || record.timing.length === 0 ? texts.get('time.measured') : texts.get('time.header');
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
        ? texts.get('front.none')
        : [
            `${record.status}`, ...record.headers.map(([name, value]) => `${name}: ${value}`), '', cut(readable(record)),
        ].join('\n');
    return [
        element('h4', {}, texts.get('front.request')), codeBlock(request, texts, texts.get('front.request')),
        element('h4', {}, record.events > 0 ? texts.get('front.events', { count: record.events }) : texts.get('front.response')),
        codeBlock(response, texts, texts.get('front.response')),
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
    if (!tool) return [element('p', { className: 'hint' }, texts.get('mcp.unknown'))];
    const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: tool.name, arguments: toolArguments(record.payload, tool) } };
    const nodes = [
        element('p', { className: 'hint' }, texts.get('mcp.derived')),
        codeBlock(pretty(call), texts, 'tools/call'),
    ];
    if (!tool.readOnly) {
        nodes.push(element('p', { className: 'hint' }, texts.get('mcp.writes')));
        return nodes;
    }
    const button = element('button', { type: 'button' }, texts.get('mcp.again'));
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
        if (!session) return [element('p', { className: 'wrong' }, texts.get('mcp.noSession', { status: opened.status }))];
        const headers = { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream', 'Mcp-Session-Id': session };
        const url = new URL('mcp/', document.baseURI);
        const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(call), credentials: 'same-origin' });
        const text = await response.text();
        // The session belongs to this call alone, so it is ended.
        fetch(url, { method: 'DELETE', headers: { 'Mcp-Session-Id': session }, credentials: 'same-origin' }).catch(() => {});
        const message = /^data: ?(\{.*)$/m.exec(text)?.[1] ?? text;
        const sent = [`POST ${url.pathname}`, ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`)].join('\n');
        return [
            element('h4', {}, texts.get('mcp.sent')), codeBlock(`${sent}\n\n${pretty(call)}`, texts, texts.get('mcp.sent')),
            element('h4', {}, texts.get('mcp.received')),
            codeBlock(`${response.status} ${response.headers.get('Content-Type') ?? ''}\n\n${cut(pretty(JSON.parse(message)))}`, texts, texts.get('mcp.received')),
        ];
    } catch (error) {
        return [element('p', { className: 'wrong' }, texts.get('mcp.failed', { reason: error.message }))];
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
