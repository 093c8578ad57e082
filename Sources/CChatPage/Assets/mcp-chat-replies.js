// Replies as nodes: results of the gateway's types, and any other value as JSON.

import { clean, codeBlock, element, link, renderMarkdown } from './mcp-chat-markdown.js?v=dev';

/** Longest text that is formatted at once; longer ones are shown in steps, as plain text. */
const TEXT_STEP = 60_000;
const LIST_STEP = 100;

/** Fills `parent` with the replies of a type. */
export function renderReplies(parent, type, replies, context) {
    parent.textContent = '';
    if (replies.length === 0) {
        parent.append(element('p', { className: 'waiting' }, context.texts.get('none')));
        return;
    }
    const isList = type?.tool?.reply === 'list' || replies.length > 1;
    if (replies.every((reply) => typeof reply === 'string') && !isList) {
        for (const reply of replies) renderText(parent, reply, context);
    } else if (replies.every(isPast)) {
        renderInSteps(parent, replies, context, (reply) => past(reply, context), () => element('div'));
    } else {
        const isPlural = replies.every((reply) => typeof reply === 'string' || isResult(reply));
        const container = () => (isPlural ? element('ul', { className: 'results' }) : element('div'));
        renderInSteps(parent, replies, context, (reply) => {
            const node = value(reply, context);
            return isPlural ? element('li', {}, node) : node;
        }, container);
    }
}

/** Returns a summary of the replies for screen readers. */
export function spoken(replies, texts) {
    if (replies.length === 0) return texts.get('none');
    if (replies.length > 1) return texts.get('results', { count: replies.length });
    const [reply] = replies;
    if (typeof reply === 'string') return clean(reply).slice(0, 600);
    return isResult(reply) ? clean(reply.name) : texts.get('oneResult');
}

/** A text in Markdown; a very long one in steps. */
export function renderText(parent, text, context) {
    if (text.length <= TEXT_STEP) {
        parent.append(renderMarkdown(text, context));
        return;
    }
    const node = element('div', { className: 'plain', dir: 'auto' });
    parent.append(node, moreButton(text.length, context, (shown) => {
        let next = Math.min(text.length, shown + TEXT_STEP);
        // Both halves of a surrogate pair belong to one piece.
        if (next < text.length && (text.codePointAt(next - 1) ?? 0) > 0xffff) next += 1;
        node.append(clean(text.slice(shown, next)));
        return next;
    }), saveLink(text, context));
}

function saveLink(text, { texts }) {
    const button = element('button', { type: 'button', className: 'quiet' }, texts.get('save'));
    button.addEventListener('click', () => {
        const url = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
        element('a', { href: url, download: 'answer.txt' }).click();
        setTimeout(() => URL.revokeObjectURL(url), 10_000);
    });
    return button;
}

function renderInSteps(parent, items, context, make, makeContainer) {
    const container = makeContainer();
    const show = (shown) => {
        const next = Math.min(items.length, shown + LIST_STEP);
        container.append(...items.slice(shown, next).map(make));
        return next;
    };
    parent.append(container);
    if (items.length <= LIST_STEP) show(0);
    else parent.append(moreButton(items.length, context, show));
}

/** Shows the first step at once and each further one on a click. */
function moreButton(total, { texts, locale }, show) {
    let shown = show(0);
    const number = new Intl.NumberFormat(locale);
    const label = () => texts.get('more', { shown: number.format(shown), total: number.format(total) });
    const button = element('button', { type: 'button', className: 'quiet' }, label());
    button.addEventListener('click', () => {
        shown = show(shown);
        button.textContent = label();
        if (shown >= total) button.remove();
    });
    return button;
}

const isObject = (reply) => reply !== null && typeof reply === 'object' && !Array.isArray(reply);
const isResult = (reply) => isObject(reply) && typeof reply.name === 'string' && typeof reply.url === 'string';
const isPast = (reply) => isObject(reply) && typeof reply.message === 'string' && typeof reply.response === 'string';

function value(reply, context) {
    if (typeof reply === 'string') return element('bdi', { dir: 'auto' }, clean(reply));
    if (isResult(reply)) return result(reply, context);
    if (isPast(reply)) return past(reply, context);
    if (isObject(reply) && Object.values(reply).every((entry) => entry === null || typeof entry !== 'object')) {
        const list = element('dl');
        for (const [key, entry] of Object.entries(reply)) {
            list.append(element('dt', {}, context.texts.name('field', clean(key))));
            list.append(element('dd', { dir: 'auto' }, clean(entry ?? '–')));
        }
        return list;
    }
    return codeBlock(clean(JSON.stringify(reply, null, 2)), context.texts);
}

function result({ name, url }, context) {
    const node = document.createDocumentFragment();
    node.append(link(url, name, { ...context, newTab: context.texts.get('newTab') }));
    node.append(element('bdi', { className: 'where', dir: 'ltr' }, clean(url).slice(0, 300)));
    return node;
}

function past({ message, response, at }, context) {
    const node = element('div', { className: 'past' });
    const time = new Date(at);
    if (!Number.isNaN(time.valueOf())) {
        const shown = new Intl.DateTimeFormat(context.locale, { dateStyle: 'medium', timeStyle: 'short' }).format(time);
        node.append(element('time', { dateTime: time.toISOString(), className: 'muted' }, shown));
    }
    node.append(element('p', { dir: 'auto' }, element('strong', {}, clean(message))));
    const body = element('div', { className: 'body' });
    renderText(body, response, context);
    node.append(body);
    return node;
}
