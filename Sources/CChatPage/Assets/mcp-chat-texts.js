// Every text that <mcp-chat> shows. A page replaces some or all of them: chat.texts = { send: 'Senden' }.

export const english = {
    label: 'Chat',
    conversation: 'Conversation',
    type: 'Ask for',
    send: 'Send',
    stop: 'Stop',
    clear: 'Clear',
    you: 'You',
    answer: 'Answer',
    empty: 'Nothing has been asked yet.',
    try: 'Try one of these:',
    waiting: 'Waiting for the answer …',
    writing: 'The answer is being written …',
    received: 'Receiving: {size} so far …',
    progress: 'Progress',
    progressOf: '{done} of {total}',
    stopped: 'Stopped.',
    none: 'Nothing was found.',
    results: '{count} results',
    oneResult: '1 result',
    more: 'Show more ({shown} of {total})',
    save: 'Save all as a file',
    sources: 'Sources',
    copy: 'Copy',
    copied: 'Copied.',
    newTab: 'opens in a new tab',
    image: 'Image',
    history: 'Earlier',
    tool: 'Tool: {tool}',
    duration: '{ms} ms',
    required: 'Please fill in “{field}”.',
    notJSON: '“{field}” is not valid JSON.',
    optional: 'optional',
    requestId: 'Request id',
    again: 'Try again',
    online: 'You are online again.',
    notNumber: '“{field}” is not a number.',

    // Questions of a tool to its user.
    'question.asked': 'A question: {message}',
    'question.accept': 'Accept',
    'question.visited': 'I have done this',
    'question.decline': 'Decline',
    'question.cancel': 'Cancel',
    'question.choose': 'Please choose',
    'question.open': 'Open the page',
    'question.until': 'Can be answered until {time}.',
    'question.accept.done': 'Accepted.',
    'question.decline.done': 'Declined.',
    'question.cancel.done': 'Cancelled.',

    // Names of types and fields. Without an entry, a name is shown as words: search_any becomes “Search any”.
    'type.chat': 'Chat',
    'type.ai_prompt': 'AI prompt',
    'type.get_user_info': 'Who am I',
    'field.message': 'Message',
    'field.query': 'Search for',
    'field.model': 'Kind of record',

    // Values for the examples that an empty chat offers, by type and field. A schema's own examples count where none is here.
    'example.chat.message': 'How many days of holiday do we have?',
    'example.search_projects.query': 'urgent',
    'example.search_any.query': 'urgent',

    // Errors, by the label of the gateway's problem document or of the component's own errors.
    'error.offline': 'You are offline. The message was not sent.',
    'error.unreachable': 'The server cannot be reached. Please check the connection and try again.',
    'error.interrupted': 'The connection broke before the answer was complete.',
    'error.not_found': 'The address of the chat is wrong: the server does not know it.',
    'error.invalid_argument': 'The server did not accept a field: {detail}',
    'error.missing_field': 'Something is missing: {detail}',
    'error.question_expired': 'This question is no longer open. Please ask again.',
    'error.body_too_large': 'The message is too long.',
    'error.headers_too_large': 'The request is too large. Deleting this site’s cookies may help.',
    'error.request_timeout': 'Sending took too long. Please try again.',
    'error.forbidden_origin': 'This page may not use the chat of that server.',
    'error.rate_limited': 'Too many requests at once. Please try again {when}.',
    'error.upstream_rate_limited': 'Too many requests at once. Please try again {when}.',
    'error.overloaded': 'The server is busy. Please try again {when}.',
    'error.draining': 'The server is restarting. Please try again {when}.',
    'error.tool_error': 'That did not work: {detail}',
    'error.not_authenticated': 'Please log in first.',
    'error.unauthorized': 'Please log in first.',
    'error.forbidden': 'You may not do this.',
    'error.upstream_rejected': 'The tool refused the request.',
    'error.upstream_failed': 'The tool failed.',
    'error.upstream_invalid': 'The tool’s answer could not be understood.',
    'error.upstream_unreachable': 'The tools cannot be reached at the moment. Please try again.',
    'error.upstream_timeout': 'The tool took too long to answer.',
    'error.other': 'That did not work: {detail}',
    'error.server': 'The server had a problem (status {status}).',
    'error.unknown_execution': 'It is not known whether the request was carried out.',
    'when.soon': 'in a moment',
    'when.seconds': 'in {seconds} s',
};

/** Looks texts up, fills their places, and falls back to English. */
export class Texts {
    #own;

    constructor(own = {}) {
        this.#own = own;
    }

    has(key) {
        return Object.hasOwn(this.#own, key) || Object.hasOwn(english, key);
    }

    get(key, values = {}) {
        const text = Object.hasOwn(this.#own, key) ? this.#own[key] : english[key];
        return String(text ?? key).replace(/\{(\w+)\}/g, (place, name) => values[name] ?? place);
    }

    /** Returns the name of a type or field: `name('type', 'search_any')`. */
    name(kind, name) {
        const key = `${kind}.${name}`;
        if (this.has(key)) return this.get(key);
        const words = name.replace(/[_-]+/g, ' ').trim();
        return words.charAt(0).toUpperCase() + words.slice(1);
    }
}
