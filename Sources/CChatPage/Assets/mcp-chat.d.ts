/** A configured type of the gateway. */
export interface ChatType {
    name: string;
    description: string;
    isDefault: boolean;
    fields: { name: string; schema: Record<string, unknown>; required: boolean }[];
    tool: ChatTool | null;
}

/** The tool that a type calls; from `x-mcp-tool` in the gateway's OpenAPI document. */
export interface ChatTool {
    name: string;
    upstream: string;
    readOnly: boolean;
    reply: 'list' | 'wrapped';
    arguments: Record<string, { from?: string; trim?: boolean; value?: unknown; default?: unknown }>;
}

/** A payload: `type` and the type's fields. */
export type ChatPayload = { type?: string } & Record<string, unknown>;

/** A list entry of the search types. */
export interface SearchResult {
    name: string;
    url: string;
}

/** An entry of `history`. */
export interface PastExchange {
    message: string;
    response: string;
    /** RFC 3339, UTC. */
    at: string;
}

/** A question of the tool to its user: a form with fields, or a page to visit. */
export interface ChatQuestion {
    id: string;
    message: string;
    fields?: ({
        name: string;
        label: string;
        kind: 'text' | 'number' | 'integer' | 'boolean' | 'choice' | 'choices';
        required: boolean;
        options?: { value: unknown; label: string }[];
    } & Record<string, unknown>)[];
    url?: string;
    /** RFC 3339, UTC. */
    expires: string;
}

/** A reply, or a question in its place. */
export interface ChatReply {
    type: string;
    replies: (string | SearchResult | PastExchange | Record<string, unknown>)[];
    /** The question to answer; `replies` is empty then. */
    question?: ChatQuestion;
}

/** One exchange as it went over the wire. */
export interface ExchangeRecord {
    sent: { method: 'POST'; url: string; headers: Record<string, string>; body: string };
    payload: ChatPayload;
    requestId: string;
    /** 0 if there was no response. */
    status: number;
    headers: [string, string][];
    /** The first 20,000 characters, also of an event stream. */
    body: string;
    /** Number of server-sent events. */
    events: number;
    timing: { name: string; ms: number }[];
    /** Milliseconds from sending to the response's head, as the browser measured them. */
    firstByte: number | null;
    /** Milliseconds from sending to the end. */
    duration: number | null;
}

/** The error of an exchange without a reply. */
export class ChatError extends Error {
    /** A label of the gateway, or `offline`, `unreachable`, `interrupted`, `stopped`. */
    readonly label: string;
    readonly status?: number;
    readonly requestId?: string;
    /** Seconds to wait, if the server names them. */
    readonly retryAfter?: number;
    /** `yes` if the tool ran, `no` if it did not, otherwise `unknown`. */
    readonly executed?: 'no' | 'yes' | 'unknown';
    /** True if the same request may succeed later. */
    readonly isRetryable: boolean;
    readonly record?: ExchangeRecord;
}

export interface MCPChatEventMap {
    /** Sent when the types are known. */
    'mcp-chat-types': CustomEvent<{ types: ChatType[] }>;
    'mcp-chat-request': CustomEvent<{ payload: ChatPayload }>;
    'mcp-chat-response': CustomEvent<{ payload: ChatPayload; reply: ChatReply; record: ExchangeRecord }>;
    /** Sent when a question is shown; it is answered in the component. */
    'mcp-chat-question': CustomEvent<{ question: ChatQuestion }>;
    'mcp-chat-error': CustomEvent<{ payload: ChatPayload; error: ChatError; record?: ExchangeRecord }>;
    'mcp-chat-history': CustomEvent<{ authenticated: boolean; count: number; record?: ExchangeRecord }>;
}

/**
 * `<mcp-chat>`.
 *
 * Attributes: `endpoint`, `openapi`, `types`, `type`, `history="off"`, `stream="off"`, `theme="light|dark"`.
 * Custom properties: `--mcp-chat-` followed by `background surface text muted border control-border accent on-accent
 * error error-surface radius gap font code-font`.
 */
export class MCPChat extends HTMLElement {
    /** All texts by name, in English. */
    static readonly english: Record<string, string>;
    endpoint: string;
    /** The texts that differ from English. */
    texts: Record<string, string>;
    readonly types: ChatType[];
    /** Settles when the types are known and the history has been asked for. */
    readonly ready: Promise<void>;
    readonly isBusy: boolean;
    choose(type: string): void;
    /** Shows the payload and its answer; null when there is no answer. Waits while the user answers questions. */
    send(payload: ChatPayload): Promise<ChatReply | null>;
    stop(): void;
    clear(): void;
    /** Resolves with true if a user is logged in. */
    loadHistory(): Promise<boolean>;
    addEventListener<K extends keyof MCPChatEventMap>(
        type: K, listener: (event: MCPChatEventMap[K]) => void, options?: boolean | AddEventListenerOptions,
    ): void;
    addEventListener(
        type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions,
    ): void;
}

/** Returns the error as a sentence for users. */
export function errorSentence(error: ChatError, texts: Texts): string;

/** Texts by name, with English as the fallback. */
export class Texts {
    constructor(own?: Record<string, string>);
    has(key: string): boolean;
    get(key: string, values?: Record<string, unknown>): string;
    name(kind: 'type' | 'field', name: string): string;
}

/** The controls of one type, without a form around them. */
export class TypeFields {
    constructor(type: ChatType, texts: Texts);
    readonly node: HTMLElement;
    readonly first: HTMLElement | null;
    payload(): ChatPayload | null;
    clear(): void;
}

/** The form of a question, without a conversation around it. */
export class QuestionForm {
    constructor(
        question: ChatQuestion, context: { texts: Texts; base: string; locale?: string },
        answer: (payload: ChatPayload) => void,
    );
    readonly node: HTMLElement;
    focus(): void;
    /** Says why an answer was refused, and lets the user answer again. */
    failed(text: string): void;
    /** Puts the decision in the place of the form. */
    settled(action: 'accept' | 'decline' | 'cancel'): void;
}

declare global {
    interface HTMLElementTagNameMap {
        'mcp-chat': MCPChat;
    }
}
