// Requests to the gateway: one POST, answered by JSON or by server-sent events. Nothing here touches the document.

/** The error of an exchange without a reply. */
export class ChatError extends Error {
    /** A label of the gateway, or `offline`, `unreachable`, `interrupted`, `stopped`. */
    label;
    status;
    requestId;
    /** Seconds to wait, if the server names them. */
    retryAfter;
    /** `yes` if the tool ran, `no` if it did not, otherwise `unknown`. */
    executed;

    constructor(label, detail, facts = {}) {
        super(detail);
        this.name = 'ChatError';
        this.label = label;
        Object.assign(this, facts);
    }

    /** True if the same request may succeed later. */
    get isRetryable() {
        return (
            ['offline', 'unreachable', 'interrupted'].includes(this.label)
            || [408, 429, 500, 502, 503, 504].includes(this.status)
        );
    }
}

/** Number of characters of a response that a record keeps. */
const RECORD_LIMIT = 20_000;

/** `Accept` of a response that is not streamed: a problem document, which has the label, or plain JSON. */
const ACCEPT = 'application/problem+json, application/json;q=0.9';

/**
 * Sends one payload.
 *
 * @returns `{ reply, record }`; throws a ChatError, whose `record` is the same.
 */
export async function ask(endpoint, payload, { signal, stream = true, onDelta, onProgress } = {}) {
    const requestId = newRequestId();
    const record = {
        sent: {
            method: 'POST',
            url: String(endpoint),
            headers: {
                'Content-Type': 'application/json',
                Accept: stream ? `text/event-stream, ${ACCEPT}` : ACCEPT,
                'X-Request-Id': requestId,
            },
            body: JSON.stringify(payload),
        },
        payload,
        requestId,
        status: 0,
        headers: [],
        body: '',
        events: 0,
        timing: [],
        firstByte: null,
        duration: null,
    };
    const started = performance.now();
    try {
        const { method, headers, body } = record.sent;
        const response = await fetch(endpoint, { method, headers, body, signal, credentials: 'same-origin' });
        record.firstByte = performance.now() - started;
        record.status = response.status;
        record.headers = [...response.headers];
        record.requestId = response.headers.get('X-Request-Id') ?? requestId;
        record.timing = parseServerTiming(response.headers.get('Server-Timing'));
        const reply = await read(response, record, { onDelta, onProgress });
        return { reply, record };
    } catch (error) {
        const failure = error instanceof ChatError ? error : networkError(error, signal, record);
        failure.requestId ??= record.requestId;
        failure.record = record;
        throw failure;
    } finally {
        record.duration = performance.now() - started;
    }
}

async function read(response, record, listeners) {
    const type = (response.headers.get('Content-Type') ?? '').split(';')[0].trim().toLowerCase();
    if (response.ok && type === 'text/event-stream') return readEvents(response, record, listeners);
    const text = await response.text();
    record.body = text.slice(0, RECORD_LIMIT);
    if (!response.ok) throw responseError(response, type, text);
    try {
        return checked(JSON.parse(text));
    } catch {
        throw new ChatError('upstream_invalid', '', { status: response.status });
    }
}

async function readEvents(response, record, { onDelta, onProgress }) {
    for await (const { name, data } of serverSentEvents(response.body)) {
        record.events += 1;
        if (record.body.length < RECORD_LIMIT) {
            record.body += `event: ${name}\ndata: ${data.slice(0, RECORD_LIMIT - record.body.length)}\n\n`;
        }
        let value;
        try {
            value = JSON.parse(data);
        } catch {
            throw new ChatError('upstream_invalid', '', { status: response.status });
        }
        if (name === 'delta') onDelta?.(String(value.text ?? ''));
        else if (name === 'progress') onProgress?.(value);
        else if (name === 'reply' || name === 'question') return checked(value);
        else if (name === 'error') {
            throw new ChatError(value.label ?? 'other', String(value.error ?? ''), { status: value.status });
        }
    }
    throw new ChatError('interrupted', '');
}

/** Yields the events of a response body; data may be megabytes long and arrive in any pieces. */
export async function* serverSentEvents(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let pieces = [];
    let name = '';
    let data = [];
    try {
        for (;;) {
            const { value, done } = await reader.read();
            if (done) return;
            let start = 0;
            for (let end; (end = value.indexOf('\n', start)) >= 0; start = end + 1) {
                pieces.push(value.slice(start, end));
                const line = pieces.join('').replace(/\r$/, '');
                pieces = [];
                if (line === '') {
                    if (data.length > 0) yield { name: name || 'message', data: data.join('\n') };
                    name = '';
                    data = [];
                } else if (line.startsWith('event:')) {
                    name = line.slice(6).trim();
                } else if (line.startsWith('data:')) {
                    data.push(line.slice(line[5] === ' ' ? 6 : 5));
                }
            }
            pieces.push(value.slice(start));
        }
    } finally {
        reader.cancel().catch(() => {});
    }
}

function checked(value) {
    if (value === null || typeof value !== 'object' || !Array.isArray(value.replies)) {
        throw new ChatError('upstream_invalid', '');
    }
    return value;
}

function responseError(response, type, text) {
    const facts = { status: response.status };
    const retryAfter = Number.parseInt(response.headers.get('Retry-After') ?? '', 10);
    if (retryAfter > 0) facts.retryAfter = retryAfter;
    let label = response.status === 429 ? 'rate_limited' : 'other';
    let detail = '';
    if (type === 'application/problem+json' || type === 'application/json') {
        try {
            const problem = JSON.parse(text);
            label = problem.label ?? label;
            detail = String(problem.detail ?? problem.error ?? problem.title ?? '');
            facts.executed = problem.executed;
        } catch {
            // A body that is not JSON is treated like an empty one.
        }
    } else if (type === 'text/plain') {
        detail = text.slice(0, 300);
    }
    if (label === 'other' && !detail) label = 'server';
    return new ChatError(label, detail, facts);
}

function networkError(error, signal, record) {
    if (signal?.aborted) return new ChatError('stopped', '');
    if (record.status !== 0) return new ChatError('interrupted', String(error));
    return new ChatError(navigator.onLine ? 'unreachable' : 'offline', String(error));
}

/** Returns the phases of `session;dur=0.4, total;dur=3.9` as `[{ name, ms }]`. */
export function parseServerTiming(header) {
    return (header ?? '').split(',').flatMap((entry) => {
        const [name, ...parameters] = entry.split(';').map((part) => part.trim());
        const duration = parameters.find((parameter) => parameter.startsWith('dur='));
        const ms = Number.parseFloat(duration?.slice(4) ?? '');
        return name && Number.isFinite(ms) ? [{ name, ms }] : [];
    });
}

// Makes a request id; chosen here, so that users can quote it even when no response arrives.
function newRequestId() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Returns the configured types, from the gateway's OpenAPI document. */
export function typesFrom(document) {
    const schemas = document?.components?.schemas ?? {};
    const body = document?.paths?.['/api/chat/']?.post?.requestBody?.content?.['application/json']?.schema;
    return (body?.anyOf ?? []).flatMap(({ $ref }) => {
        // Users do not choose the type that answers a question.
        if ($ref?.endsWith('/Answer')) return [];
        const schema = schemas[$ref?.split('/').pop()];
        const name = schema?.properties?.type?.const;
        if (typeof name !== 'string') return [];
        const required = schema.required ?? [];
        const fields = Object.entries(schema.properties)
            .filter(([field]) => field !== 'type')
            .map(([field, property]) => ({ name: field, schema: property, required: required.includes(field) }));
        return [
            {
                name,
                fields,
                description: schema.description ?? '',
                isDefault: !required.includes('type'),
                tool: schema['x-mcp-tool'] ?? null,
            },
        ];
    });
}
