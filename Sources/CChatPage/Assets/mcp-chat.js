// <mcp-chat>: a chat with a gateway, as one element.
//
//     <script type="module" src="/assets/mcp-chat.js"></script>
//     <mcp-chat></mcp-chat>
//
// Attributes: endpoint (/api/chat/), openapi (/openapi.json), types (names, in the order shown), type (the one chosen at
// first), history (off: earlier messages are not asked for), stream (off: answers come whole), theme (light, dark).
// Properties, methods and events are in mcp-chat.d.ts.

import { ask, ChatError, typesFrom } from './mcp-chat-client.js?v=dev';
import { QuestionForm, TypeFields } from './mcp-chat-forms.js?v=dev';
import { clean, codeBlock, copyButton, element, renderMarkdown } from './mcp-chat-markdown.js?v=dev';
import { renderReplies, spoken } from './mcp-chat-replies.js?v=dev';
import { sheet } from './mcp-chat-style.js?v=dev';
import { english, Texts } from './mcp-chat-texts.js?v=dev';

/** Types that are assumed when the gateway does not list its own. */
const FALLBACK = [
    { name: 'chat', fields: [{ name: 'message', schema: { type: 'string' }, required: true }], description: '', isDefault: true, tool: null },
];
/** Largest part of a growing answer that is formatted while it grows, in characters. */
const LIVE_LIMIT = 60_000;
/** Number of examples that an empty conversation offers. */
const EXAMPLES_LIMIT = 4;

export class MCPChat extends HTMLElement {
    static observedAttributes = ['types', 'type', 'lang'];

    /** The texts that are shown when a page sets none. */
    static get english() {
        return { ...english };
    }

    #texts = new Texts();
    #ownTexts = {};
    #types = [];
    #allTypes = null;
    #fields = null;
    #running = new Set();
    /** Ends of the exchanges whose question is open. */
    #questions = new Set();
    #ready;
    #isBuilt = false;
    /** True until the reader scrolls away from the end. */
    #isAtEnd = true;
    #parts = {};

    constructor() {
        super();
        this.attachShadow({ mode: 'open', delegatesFocus: false });
        this.shadowRoot.adoptedStyleSheets = [sheet];
    }

    connectedCallback() {
        window.addEventListener('online', this.#onOnline);
        if (this.#isBuilt) return;
        this.#isBuilt = true;
        this.#build();
        this.#ready = this.#start();
    }

    disconnectedCallback() {
        window.removeEventListener('online', this.#onOnline);
        this.stop();
    }

    attributeChangedCallback(name) {
        if (!this.#isBuilt || !this.#allTypes) return;
        if (name === 'lang') this.#relabel();
        else this.#chooseTypes();
    }

    // MARK: For the page

    get endpoint() {
        return new URL(this.getAttribute('endpoint') ?? '/api/chat/', document.baseURI).href;
    }

    set endpoint(url) {
        this.setAttribute('endpoint', url);
    }

    /** The texts that differ from English; see mcp-chat-texts.js for their names. */
    get texts() {
        return this.#ownTexts;
    }

    set texts(texts) {
        this.#ownTexts = { ...texts };
        this.#texts = new Texts(this.#ownTexts);
        if (this.#isBuilt) this.#relabel();
    }

    /** The types that are offered. */
    get types() {
        return this.#types;
    }

    /** Settles when the types are known. */
    get ready() {
        return this.#ready ?? Promise.resolve();
    }

    get isBusy() {
        return this.#running.size > 0;
    }

    /** Chooses a type as if the user had. */
    choose(name) {
        const { select } = this.#parts;
        if (!this.#types.some((type) => type.name === name)) return;
        select.value = name;
        this.#showFields();
    }

    focus(options) {
        (this.#fields?.first ?? this.#parts.send)?.focus(options);
    }

    /** Stops every answer that is under way. */
    stop() {
        for (const controller of this.#running) controller.abort();
    }

    /** Empties the conversation; what the server keeps is not touched. */
    clear() {
        this.stop();
        for (const end of this.#questions) end(null);
        this.#parts.log.replaceChildren(this.#parts.empty);
    }

    /** Sends a payload and shows it with its answer. Resolves with the reply, or null when there is none. */
    async send(payload) {
        const { log, empty } = this.#parts;
        const type = this.#type(payload.type) ?? null;
        empty.remove();
        const body = element('div', { className: 'body', dir: 'auto' });
        const answer = element('div', { className: 'answer' }, element('h3', { className: 'hidden' }, this.#texts.get('answer')), body);
        const turn = element('article', { className: 'turn' }, this.#question(type, payload), answer);
        log.append(turn);
        this.#isAtEnd = true;
        this.#follow();
        return this.#exchange(type, payload, body, answer);
    }

    /** Loads the logged-in user's earlier messages. Resolves with true if a user is logged in. */
    async loadHistory() {
        const { log } = this.#parts;
        log.querySelector('.earlier')?.remove();
        if (!this.#type('history')) return false;
        let replies;
        let record;
        try {
            ({ reply: { replies }, record } = await ask(this.endpoint, { type: 'history' }, { stream: false }));
        } catch (error) {
            this.#tell('mcp-chat-history', { authenticated: false, count: 0, record: error.record });
            return false;
        }
        if (replies.length > 0) {
            const turn = element('article', { className: 'turn earlier' }, element('h3', { className: 'muted' }, this.#texts.get('history')));
            renderReplies(turn.appendChild(element('div')), null, replies.toReversed(), this.#context());
            this.#parts.empty.remove();
            log.prepend(turn);
            log.scrollTop = log.scrollHeight;
        }
        this.#tell('mcp-chat-history', { authenticated: true, count: replies.length, record });
        return true;
    }

    // MARK: One exchange

    /**
     * @param question The form whose answer the payload is; it takes the errors that name a field.
     * @returns The reply; null without one; undefined when the question is still open.
     */
    async #exchange(type, payload, body, answer, question = null) {
        const controller = new AbortController();
        this.#running.add(controller);
        this.#setBusy();
        const growing = new GrowingAnswer(body, this.#context(), () => this.#follow());
        this.#say(this.#texts.get('waiting'));
        this.#tell('mcp-chat-request', { payload });
        try {
            const { reply, record } = await ask(this.endpoint, payload, {
                signal: controller.signal,
                stream: this.#streams(type),
                onDelta: (text) => growing.append(text),
                onProgress: (progress) => growing.progress(progress),
            });
            growing.finish();
            question?.settled(payload.action);
            if (reply.question) {
                this.#tell('mcp-chat-response', { payload, reply, record });
                return this.#put(reply.question, type, body, answer);
            }
            renderReplies(body, this.#type(reply.type) ?? type, reply.replies, this.#context());
            answer.append(this.#footer(type, record, growing.tools));
            this.#say(spoken(reply.replies, this.#texts));
            this.#tell('mcp-chat-response', { payload, reply, record });
            return reply;
        } catch (error) {
            growing.finish();
            if (!(error instanceof ChatError)) throw error;
            // As long as the answer has not been taken, the user may give another one.
            if (question && (error.label === 'invalid_argument' || (error.executed === 'no' && error.isRetryable) || error.label === 'offline')) {
                body.remove();
                question.failed(error.label === 'invalid_argument' ? error.message : errorSentence(error, this.#texts));
                this.#tell('mcp-chat-error', { payload, error, record: error.record });
                return undefined;
            }
            question?.settled(payload.action);
            this.#fail(error, growing, { type, payload, body, answer });
            this.#tell('mcp-chat-error', { payload, error, record: error.record });
            return null;
        } finally {
            this.#running.delete(controller);
            this.#setBusy();
            this.#follow();
        }
    }

    /** Shows a question of the tool. Resolves with the reply once it is answered; null when it is taken away before. */
    #put(question, type, body, answer) {
        if (body.textContent.trim() === '') body.textContent = '';
        this.#tell('mcp-chat-question', { question });
        return new Promise((resolve) => {
            const end = (reply) => {
                this.#questions.delete(end);
                resolve(reply);
            };
            this.#questions.add(end);
            const form = new QuestionForm(question, this.#context(), async (payload) => {
                const hadFocus = form.node.matches(':focus-within');
                const next = element('div', { className: 'body', dir: 'auto' });
                answer.append(next);
                const reply = await this.#exchange(type, payload, next, answer, form);
                if (reply === undefined) return;
                if (hadFocus && !this.shadowRoot.activeElement) this.focus();
                end(reply);
            });
            answer.append(form.node);
            this.#say(this.#texts.get('question.asked', { message: form.message }));
            // Once the exchange is over and its end is in sight: the focus then brings the first field into view.
            queueMicrotask(() => {
                const { activeElement } = this.shadowRoot;
                // What the user has begun to write is not interrupted.
                if (activeElement && (activeElement.value ?? '') === '') form.focus();
            });
        });
    }

    /** Returns whether a type's answer is streamed. Lists and look-ups are not: their status carries the error. */
    #streams(type) {
        if (this.getAttribute('stream') === 'off') return false;
        return !type?.tool || (type.tool.reply === 'wrapped' && !type.tool.readOnly);
    }

    #fail(error, growing, { type, payload, body, answer }) {
        if (growing.text === '') body.textContent = '';
        if (error.label === 'stopped') {
            body.append(element('p', { className: 'waiting' }, this.#texts.get('stopped')));
            this.#say(this.#texts.get('stopped'));
            return;
        }
        const sentence = errorSentence(error, this.#texts);
        const node = element('div', { className: 'error' }, element('p', { className: 'sentence', dir: 'auto' }, sentence));
        if (error.executed === 'unknown') node.append(element('p', {}, this.#texts.get('error.unknown_execution')));
        const id = clean(error.requestId ?? '');
        node.append(element('p', { className: 'id' }, `${this.#texts.get('requestId')}: `, element('code', { dir: 'ltr' }, id)));
        const buttons = element('div', { className: 'buttons' }, copyButton(() => id, this.#texts));
        if (error.isRetryable) {
            const again = element('button', { type: 'button', className: 'quiet' }, this.#texts.get('again'));
            again.addEventListener('click', () => {
                this.focus();
                body.textContent = '';
                this.#exchange(type, payload, body, answer);
            });
            buttons.append(again);
        }
        node.append(buttons);
        body.append(node);
        this.#alert(`${sentence} ${this.#texts.get('requestId')}: ${id}`);
    }

    #footer(type, record, tools) {
        const meta = element('p', { className: 'meta' });
        const names = tools.length > 0 ? tools : type?.tool ? [type.tool.name] : [];
        for (const name of names) meta.append(element('span', {}, this.#texts.get('tool', { tool: clean(name) })));
        const ms = new Intl.NumberFormat(this.#locale, { maximumFractionDigits: record.duration < 10 ? 1 : 0 }).format(record.duration);
        meta.append(element('span', {}, this.#texts.get('duration', { ms })));
        return meta;
    }

    #question(type, payload) {
        const node = element('div', { className: 'ask', dir: 'auto' }, element('h3', { className: 'hidden' }, this.#texts.get('you')));
        const given = Object.entries(payload).filter(([name]) => name !== 'type');
        const show = (value) => clean(typeof value === 'string' ? value : JSON.stringify(value)).slice(0, 2000);
        if (given.length === 1 && (type?.isDefault ?? true)) {
            node.append(element('bdi', {}, show(given[0][1])));
        } else {
            const heading = element('strong', {}, this.#texts.name('type', clean(payload.type ?? '')));
            const list = element('dl');
            for (const [name, value] of given) {
                list.append(element('dt', {}, this.#texts.name('field', clean(name))), element('dd', { dir: 'auto' }, show(value)));
            }
            node.append(heading, list);
        }
        return node;
    }

    // MARK: Parts

    #build() {
        const texts = this.#texts;
        const parts = this.#parts;
        parts.nothing = element('p');
        parts.examples = element('div', { className: 'buttons' });
        parts.empty = element('div', { className: 'empty' }, parts.nothing, parts.examples);
        parts.log = element('div', { className: 'log', tabIndex: 0, role: 'log', 'aria-live': 'off' }, parts.empty);
        parts.status = element('div', { className: 'hidden', role: 'status' });
        parts.alert = element('div', { className: 'hidden', role: 'alert' });
        parts.select = element('select', { id: 'type' });
        parts.typeLabel = element('label', { htmlFor: 'type' });
        parts.picker = element('div', { className: 'field' }, parts.typeLabel, parts.select);
        parts.clear = element('button', { type: 'button' });
        parts.stop = element('button', { type: 'button', hidden: true });
        parts.send = element('button', { type: 'submit', className: 'main' });
        parts.holder = element('div');
        parts.form = element(
            'form', { noValidate: true }, parts.holder,
            element('div', { className: 'bar' }, parts.picker, element('span', { className: 'space' }), parts.clear, parts.stop, parts.send),
        );
        this.shadowRoot.append(parts.log, parts.form, parts.status, parts.alert);
        this.#label(texts);
        let place = 0;
        parts.log.addEventListener('scroll', () => {
            const { scrollHeight, scrollTop, clientHeight } = parts.log;
            // Growing content also emits the event: only scrolling back is the reader's.
            if (scrollHeight - scrollTop - clientHeight < 60) this.#isAtEnd = true;
            else if (scrollTop < place) this.#isAtEnd = false;
            place = scrollTop;
        });
        parts.select.addEventListener('change', () => this.#showFields());
        parts.clear.addEventListener('click', () => this.clear());
        parts.stop.addEventListener('click', () => {
            this.stop();
            this.focus();
        });
        parts.form.addEventListener('submit', (event) => {
            event.preventDefault();
            this.#submit();
        });
        this.shadowRoot.addEventListener('keydown', (event) => {
            if (event.key === 'Escape' && this.isBusy) this.stop();
        });
    }

    #label(texts) {
        const parts = this.#parts;
        this.setAttribute('role', this.getAttribute('role') ?? 'region');
        if (!this.hasAttribute('aria-label') || this.ariaLabel === parts.ownLabel) this.ariaLabel = parts.ownLabel = texts.get('label');
        parts.nothing.textContent = texts.get('empty');
        parts.log.setAttribute('aria-label', texts.get('conversation'));
        parts.typeLabel.textContent = texts.get('type');
        parts.clear.textContent = texts.get('clear');
        parts.stop.textContent = texts.get('stop');
        parts.send.textContent = texts.get('send');
    }

    #relabel() {
        this.#label(this.#texts);
        if (this.#allTypes) this.#chooseTypes();
    }

    async #start() {
        const url = new URL(this.getAttribute('openapi') ?? '/openapi.json', document.baseURI);
        try {
            const response = await fetch(url, { credentials: 'same-origin' });
            this.#allTypes = response.ok ? typesFrom(await response.json()) : [];
        } catch {
            this.#allTypes = [];
        }
        if (this.#allTypes.length === 0) this.#allTypes = FALLBACK;
        this.#chooseTypes();
        this.#tell('mcp-chat-types', { types: this.#allTypes });
        if (this.getAttribute('history') !== 'off') await this.loadHistory();
    }

    #chooseTypes() {
        const { select, picker } = this.#parts;
        const names = this.getAttribute('types')?.split(/[\s,]+/).filter(Boolean);
        this.#types = names
            ? names.flatMap((name) => this.#allTypes.find((type) => type.name === name) ?? [])
            : this.#allTypes;
        if (this.#types.length === 0) this.#types = this.#allTypes;
        const chosen = select.value || this.getAttribute('type') || this.#types.find((type) => type.isDefault)?.name;
        select.replaceChildren(
            ...this.#types.map(({ name }) => element('option', { value: name }, this.#texts.name('type', name))),
        );
        if (this.#types.some((type) => type.name === chosen)) select.value = chosen;
        picker.hidden = this.#types.length < 2;
        this.#offerExamples();
        this.#showFields();
    }

    /** Payloads to be sent with a click while nothing has been asked: of the default type, and of types that only read. */
    #offerExamples() {
        const { examples, nothing } = this.#parts;
        const texts = this.#texts;
        const buttons = [...this.#types].sort((a, b) => Number(b.isDefault) - Number(a.isDefault)).flatMap((type) => {
            const payload = type.isDefault || type.tool?.readOnly ? exampleOf(type, texts) : null;
            if (!payload) return [];
            const { type: name, ...values } = payload;
            const shown = Object.values(values).join(', ');
            const label = type.isDefault ? shown : `${texts.name('type', name)}: ${shown}`;
            const button = element('button', { type: 'button', className: 'quiet example', dir: 'auto' }, clean(label).slice(0, 200));
            button.addEventListener('click', () => {
                if (this.isBusy) return;
                this.choose(name);
                this.focus();
                this.send(payload);
            });
            return [button];
        }).slice(0, EXAMPLES_LIMIT);
        examples.replaceChildren(...buttons);
        nothing.textContent = buttons.length > 0 ? `${texts.get('empty')} ${texts.get('try')}` : texts.get('empty');
    }

    #showFields() {
        const type = this.#type(this.#parts.select.value);
        if (!type) return;
        this.#fields = new TypeFields(type, this.#texts);
        this.#parts.holder.replaceChildren(this.#fields.node);
    }

    #type(name) {
        const types = this.#allTypes ?? [];
        return name === undefined ? types.find((type) => type.isDefault) : types.find((type) => type.name === name);
    }

    #submit() {
        if (this.isBusy || !this.#fields) return;
        const payload = this.#fields.payload();
        if (!payload) return;
        this.#fields.clear();
        this.send(payload);
    }

    #setBusy() {
        const { stop, send } = this.#parts;
        // The focus stays on a visible button when Stop or Send was pressed last.
        const hadFocus = this.shadowRoot.activeElement === stop || this.shadowRoot.activeElement === send;
        stop.hidden = !this.isBusy;
        send.disabled = this.isBusy;
        this.toggleAttribute('busy', this.isBusy);
        if (hadFocus) (this.isBusy ? stop : this.#fields?.first ?? send).focus();
    }

    // MARK: Small things

    #context() {
        return { texts: this.#texts, base: this.endpoint, locale: this.#locale };
    }

    get #locale() {
        const name = this.closest('[lang]')?.lang || navigator.language;
        try {
            return Intl.getCanonicalLocales(name)[0];
        } catch {
            return 'en';
        }
    }

    /** Scrolls to the end, if the reader is there. */
    #follow() {
        if (this.#isAtEnd) this.#parts.log.scrollTop = this.#parts.log.scrollHeight;
    }

    #say(text) {
        this.#parts.status.textContent = text;
    }

    #alert(text) {
        this.#say('');
        this.#parts.alert.textContent = text;
    }

    #tell(name, detail) {
        this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
    }

    #onOnline = () => this.#say(this.#texts.get('online'));
}

/** An answer that is still being written: at most one rendering a frame, and only of what has changed. */
class GrowingAnswer {
    text = '';
    /** The tools that the server named. */
    tools = [];
    #body;
    #context;
    #changed;
    #frame = 0;
    #settled = 0;
    #stable = element('div');
    #tail = element('div');
    #note;
    #bar = null;

    constructor(body, context, changed) {
        this.#body = body;
        this.#context = context;
        this.#changed = changed;
        this.#note = element('p', { className: 'waiting' }, context.texts.get('waiting'));
        body.replaceChildren(this.#stable, this.#tail, this.#note);
    }

    append(text) {
        this.text += text;
        this.#frame ||= requestAnimationFrame(() => this.#render());
    }

    progress({ progress, total, tool, message }) {
        if (typeof tool === 'string' && !this.tools.includes(tool)) this.tools.push(tool);
        const { texts } = this.#context;
        this.#bar ??= element('progress', { 'aria-label': texts.get('progress') });
        if (total > 0) {
            this.#bar.max = total;
            this.#bar.value = progress;
        }
        const words = typeof message === 'string' ? clean(message)
            : total > 0 ? texts.get('progressOf', { done: progress, total }) : texts.get('waiting');
        this.#note.replaceChildren(this.#bar, words);
    }

    finish() {
        cancelAnimationFrame(this.#frame);
        if (this.text !== '') this.#render();
        this.#note.remove();
    }

    #render() {
        this.#frame = 0;
        const { texts } = this.#context;
        if (this.text.length > LIVE_LIMIT) {
            const size = `${(this.text.length / 1_048_576).toFixed(1)} MB`;
            this.#note.textContent = texts.get('received', { size });
            return;
        }
        // Whole paragraphs outside of code do not change any more.
        const end = this.text.lastIndexOf('\n\n') + 2;
        const settled = this.text.slice(this.#settled, end);
        const isWhole = end > 1 && end > this.#settled && (settled.match(/^ {0,3}(```|~~~)/gm)?.length ?? 0) % 2 === 0;
        if (isWhole) {
            this.#stable.append(renderMarkdown(settled, this.#context));
            this.#settled = end;
        }
        this.#tail.replaceChildren(renderMarkdown(this.text.slice(this.#settled), this.#context));
        if (!this.#bar) this.#note.textContent = texts.get('writing');
        this.#changed();
    }
}

/** Returns a payload of examples for a type; null when a required field has no example, or the type has no field. */
function exampleOf({ name, fields }, texts) {
    const payload = { type: name };
    for (const { name: field, schema, required } of fields) {
        if (!required) continue;
        const key = `example.${name}.${field}`;
        const value = texts.has(key) ? texts.get(key) : schema.examples?.[0] ?? schema.default ?? schema.enum?.[0];
        if (typeof value !== 'string' && typeof value !== 'number') return null;
        payload[field] = value;
    }
    return Object.keys(payload).length > 1 ? payload : null;
}

/** Returns the error as a sentence for users. */
export function errorSentence(error, texts) {
    const { label, status } = error;
    const detail = sentence(clean(error.message).slice(0, 500));
    if (label === 'tool_error' && detail === 'Not authenticated.') return texts.get('error.not_authenticated');
    const when = error.retryAfter
        ? texts.get('when.seconds', { seconds: error.retryAfter })
        : texts.get('when.soon');
    const key = `error.${label}`;
    if (texts.has(key)) return texts.get(key, { detail, status, when });
    return detail && status < 500 ? texts.get('error.other', { detail }) : texts.get('error.server', { status });
}

function sentence(text) {
    return text === '' || /[.!?…。؟]$/.test(text) ? text : `${text}.`;
}

if (!customElements.get('mcp-chat')) customElements.define('mcp-chat', MCPChat);

export { ChatError, codeBlock, element, QuestionForm, Texts, TypeFields };
