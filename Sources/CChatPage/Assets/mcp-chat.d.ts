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

export interface ChatReply {
    type: string;
    replies: (string | SearchResult | PastExchange | Record<string, unknown>)[];
}

/** One exchange as it went over the wire. */
export interface ExchangeRecord {
    sent: { method: 'POST'; url: string; headers: Record<string, string>; body: string };
    payload: ChatPayload;
    requestId: string;
    /** 0 without a response. */
    status: number;
    headers: [string, string][];
    /** The first 20 000 characters, event streams included. */
    body: string;
    /** Number of server-sent events. */
    events: number;
    timing: { name: string; ms: number }[];
    /** Milliseconds from sending, as the browser saw them. */
    firstByte: number | null;
    duration: number | null;
}

export class ChatError extends Error {
    /** A label of the gateway, or `offline`, `unreachable`, `interrupted`, `stopped`. */
    readonly label: string;
    readonly status?: number;
    readonly requestId?: string;
    /** Seconds. */
    readonly retryAfter?: number;
    readonly executed?: 'no' | 'yes' | 'unknown';
    readonly isRetryable: boolean;
    readonly record?: ExchangeRecord;
}

export interface MCPChatEventMap {
    /** The types are known. */
    'mcp-chat-types': CustomEvent<{ types: ChatType[] }>;
    'mcp-chat-request': CustomEvent<{ payload: ChatPayload }>;
    'mcp-chat-response': CustomEvent<{ payload: ChatPayload; reply: ChatReply; record: ExchangeRecord }>;
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
    /** Shows the payload and its answer; null when there is no answer. */
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

declare global {
    interface HTMLElementTagNameMap {
        'mcp-chat': MCPChat;
    }
}
