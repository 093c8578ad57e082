// Markdown as a document fragment. Text becomes text nodes and nothing else: there is no way from data to markup.

/** Control characters, and the bidirectional embeddings and overrides that make text look like another. */
const HARMFUL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** Text that is fit to be shown. */
export function clean(text) {
    return String(text).replace(/\r\n?/g, '\n').replace(HARMFUL, '');
}

/** The URL when it leads to http or https and hides nothing; else null. */
export function safeURL(value, base) {
    if (typeof value !== 'string' || /[\u0000-\u0020\u007f-\u009f\\\u200b-\u200f\u202a-\u202e\u2066-\u2069]/.test(value)) {
        return null;
    }
    let url;
    try {
        url = new URL(value, base);
    } catch {
        return null;
    }
    const isPlain = url.protocol === 'https:' || url.protocol === 'http:';
    return value !== '' && isPlain && !url.username && !url.password ? url : null;
}

/** A new element with properties and children; strings become text nodes. */
export function element(name, properties = {}, ...children) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) {
        if (value === undefined || value === null || value === false) continue;
        if (key in node && !key.includes('-')) node[key] = value;
        else node.setAttribute(key, value === true ? '' : value);
    }
    node.append(...children);
    return node;
}

/** A link that says where it leads; plain text when the URL is not safe. */
export function link(url, label, { base, newTab }) {
    const target = safeURL(url, base);
    const text = typeof label === 'string' ? [element('bdi', {}, clean(label))] : [label];
    if (!target) return element('span', {}, ...text);
    const anchor = element('a', { href: target.href }, ...text);
    if (target.origin === new URL(base).origin) return anchor;
    anchor.target = '_blank';
    anchor.rel = 'noopener noreferrer nofollow';
    const shown = anchor.textContent.toLowerCase();
    if (!shown.includes(target.host)) anchor.append(element('bdi', { className: 'host', dir: 'ltr' }, ` (${target.host})`));
    anchor.append(element('span', { className: 'hidden' }, ` (${newTab})`));
    return anchor;
}

const DEPTH_LIMIT = 12;
/** Longer paragraphs are shown as they are: marks in them are hardly meant. */
const INLINE_LIMIT = 20_000;
/** How far the end of a mark is looked for. */
const REACH = 4000;

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.{0,1000}?)\s*#*$/;
const RULE = /^ {0,3}(?:(?:\*\s*){3,}|(?:-\s*){3,}|(?:_\s*){3,})$/;
const ITEM = /^(\s*)(?:[-*+•]|(\d{1,9})[.)])\s+(.*)$/;
const QUOTE = /^ {0,3}> ?(.*)$/;
const TABLE_RULE = /^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/;
const DEFINITION = /^ {0,3}\[([^\]]{1,80})\]:\s+(\S+)(?:\s+["“(](.*)["”)])?\s*$/;
const CITATION = /^(— |– )?(\S.{0,300}?) \(((?:https?:\/|\/)[^\s()]{0,2000})\)$/;

/**
 * Renders Markdown.
 *
 * @param options `base` for relative links, `texts` for the few words that are added, `level` of the first heading.
 */
export function renderMarkdown(text, { base, texts, level = 4 }) {
    const context = { base, texts, level, newTab: texts.get('newTab'), definitions: new Map() };
    const lines = [];
    let fence = null;
    for (const line of clean(text).split('\n')) {
        const mark = FENCE.exec(line);
        if (fence ? line.trim().startsWith(fence) : mark) fence = fence ? null : mark[1];
        const definition = fence ? null : DEFINITION.exec(line);
        if (definition && safeURL(definition[2], base)) {
            context.definitions.set(definition[1].toLowerCase(), { url: definition[2], title: definition[3] });
        } else {
            lines.push(line);
        }
    }
    const fragment = document.createDocumentFragment();
    blocks(fragment, lines, context, 0);
    const sources = [...context.definitions].filter(([name]) => /^\^?\d+$/.test(name));
    if (sources.length > 0) {
        const list = element('ol', { className: 'sources', 'aria-label': texts.get('sources') });
        for (const [name, { url, title }] of sources) {
            list.append(element('li', { value: Number(name.replace('^', '')) }, link(url, title ?? url, context)));
        }
        fragment.append(list);
    }
    return fragment;
}

function blocks(parent, lines, context, depth) {
    let paragraph = [];
    const flush = () => {
        if (paragraph.length > 0) parent.append(paragraphOf(paragraph, context));
        paragraph = [];
    };
    for (let at = 0; at < lines.length; ) {
        const line = lines[at];
        let match;
        if (line.trim() === '') {
            flush();
            at += 1;
        } else if ((match = FENCE.exec(line))) {
            flush();
            at = code(parent, lines, at, match, context);
        } else if ((match = HEADING.exec(line))) {
            flush();
            const level = headingLevel(match[1].length, context);
            parent.append(spans(element(`h${level}`, { dir: 'auto' }), match[2], context));
            at += 1;
        } else if (RULE.test(line)) {
            flush();
            parent.append(element('hr'));
            at += 1;
        } else if (QUOTE.test(line) && depth < DEPTH_LIMIT) {
            flush();
            const inner = [];
            for (; at < lines.length && (match = QUOTE.exec(lines[at])); at += 1) inner.push(match[1]);
            const quote = element('blockquote', { dir: 'auto' });
            blocks(quote, inner, context, depth + 1);
            parent.append(quote);
        } else if ((match = ITEM.exec(line)) && depth < DEPTH_LIMIT && (paragraph.length === 0 || !match[2] || match[2] === '1')) {
            flush();
            at = list(parent, lines, at, context, depth);
        } else if (line.includes('|') && TABLE_RULE.test(lines[at + 1] ?? '') && lines[at + 1].includes('-') && paragraph.length === 0) {
            at = table(parent, lines, at, context);
        } else {
            paragraph.push(line);
            at += 1;
        }
    }
    flush();
}

/** Headings begin at the context's level and skip none, whatever the text does. */
function headingLevel(depth, context) {
    context.top = Math.min(context.top ?? depth, depth);
    context.last = Math.min(6, context.level + depth - context.top, (context.last ?? context.level - 1) + 1);
    return context.last;
}

function paragraphOf(lines, context) {
    const paragraph = element('p', { dir: 'auto' });
    const text = lines.join('\n');
    if (text.length > INLINE_LIMIT) {
        paragraph.append(text);
        return paragraph;
    }
    // Marks may span lines, but a line that cites a source stands for itself.
    let pending = [];
    const flush = () => {
        if (pending.length === 0) return;
        if (paragraph.hasChildNodes()) paragraph.append(element('br'));
        spans(paragraph, pending.join('\n'), context);
        pending = [];
    };
    for (const line of lines) {
        const match = CITATION.exec(line.trim());
        if (match?.[1] && safeURL(match[3], context.base)) {
            flush();
            if (paragraph.hasChildNodes()) paragraph.append(element('br'));
            paragraph.append(element('cite', { dir: 'auto' }, match[1], link(match[3], match[2], context)));
        } else {
            pending.push(line);
        }
    }
    flush();
    return paragraph;
}

function code(parent, lines, start, [, mark, language], context) {
    const text = [];
    let at = start + 1;
    for (; at < lines.length && !lines[at].trim().startsWith(mark); at += 1) text.push(lines[at]);
    const label = language.trim().slice(0, 40);
    parent.append(codeBlock(text.join('\n'), context.texts, label));
    return at + 1;
}

/** A block of code with a button that copies it. */
export function codeBlock(text, texts, label = '') {
    const pre = element('pre', { dir: 'ltr', tabIndex: 0 }, element('code', {}, text));
    if (label) pre.setAttribute('aria-label', label);
    return element('div', { className: 'code' }, pre, copyButton(() => text, texts));
}

/** A button that copies a text and says so. */
export function copyButton(text, texts, label = texts.get('copy')) {
    const button = element('button', { type: 'button', className: 'quiet copy' }, label);
    button.addEventListener('click', async () => {
        await copy(text(), button);
        button.textContent = texts.get('copied');
        setTimeout(() => (button.textContent = label), 1500);
    });
    return button;
}

async function copy(text, near) {
    try {
        await navigator.clipboard.writeText(text);
    } catch {
        // Without a secure context there is only the old way.
        const area = element('textarea', { value: text, className: 'hidden', readOnly: true });
        near.after(area);
        area.select();
        document.execCommand('copy');
        area.remove();
        near.focus();
    }
}

function list(parent, lines, start, context, depth) {
    const first = ITEM.exec(lines[start]);
    const indent = first[1].length;
    const isOrdered = first[2] !== undefined;
    const node = element(isOrdered ? 'ol' : 'ul', { dir: 'auto' });
    if (isOrdered && first[2] !== '1') node.start = Number(first[2]);
    let at = start;
    while (at < lines.length) {
        const match = ITEM.exec(lines[at]);
        if (!match || match[1].length > indent + 1 || match[1].length < indent || (match[2] !== undefined) !== isOrdered) break;
        const inner = [match[3]];
        const column = lines[at].length - match[3].length;
        for (at += 1; at < lines.length; at += 1) {
            const line = lines[at];
            const depthOfLine = line.search(/\S/);
            const continues = depthOfLine < 0
                ? ITEM.test(lines[at + 1] ?? '') || /^\s{2,}\S/.test(lines[at + 1] ?? '')
                : depthOfLine > indent + 1 || (!ITEM.test(line) && inner.at(-1).trim() !== '' && !HEADING.test(line) && !FENCE.test(line));
            if (!continues) break;
            inner.push(line.slice(Math.min(column, Math.max(depthOfLine, 0))));
        }
        node.append(item(inner, context, depth));
    }
    parent.append(node);
    return at;
}

function item(lines, context, depth) {
    const node = element('li');
    while (lines.length > 1 && lines.at(-1).trim() === '') lines.pop();
    const citation = lines.length === 1 ? CITATION.exec(lines[0].trim()) : null;
    if (citation && !citation[2].includes('](') && safeURL(citation[3], context.base)) {
        node.append(link(citation[3], citation[2], context));
    } else if (lines.length === 1) {
        spans(node, lines[0], context);
    } else {
        blocks(node, lines, context, depth + 1);
        const only = node.firstElementChild;
        // A tight item has no paragraph of its own.
        if (only?.localName === 'p' && !lines.includes('')) only.replaceWith(...only.childNodes);
    }
    return node;
}

function table(parent, lines, start, context) {
    const cells = (line) => line.trim().replace(/^\||\|$/g, '').split(/(?<!\\)\|/).map((cell) => cell.trim());
    const head = cells(lines[start]);
    const body = element('tbody');
    let at = start + 2;
    for (; at < lines.length && lines[at].includes('|') && lines[at].trim() !== ''; at += 1) {
        const row = element('tr');
        for (const cell of cells(lines[at]).slice(0, head.length)) row.append(spans(element('td', { dir: 'auto' }), cell, context));
        body.append(row);
    }
    const row = element('tr');
    for (const cell of head) row.append(spans(element('th', { scope: 'col', dir: 'auto' }), cell, context));
    const node = element('table', {}, element('thead', {}, row), body);
    parent.append(element('div', { className: 'scroll', tabIndex: 0 }, node));
    return at;
}

// MARK: Within a line

function spans(parent, text, context, depth = 0) {
    let plain = '';
    const flush = () => {
        if (plain !== '') parent.append(plain);
        plain = '';
    };
    const append = (node, end) => {
        flush();
        parent.append(node);
        return end;
    };
    for (let at = 0; at < text.length; ) {
        const next = depth < DEPTH_LIMIT ? mark(text, at, context, depth) : null;
        if (next) at = append(next.node, next.end);
        else if (text[at] === '\\' && /[!-/:-@[-`{-~]/.test(text[at + 1] ?? '')) {
            plain += text[at + 1];
            at += 2;
        } else if (text[at] === '\n') {
            plain = plain.trimEnd();
            at = append(element('br'), at + 1);
        } else {
            plain += text[at];
            at += 1;
        }
    }
    flush();
    return parent;
}

/** What begins here, if anything does: a node and where it ends. */
function mark(text, at, context, depth) {
    switch (text[at]) {
        case '`': return codeSpan(text, at);
        case '*':
        case '_':
        case '~': return emphasis(text, at, context, depth);
        case '[': return bracket(text, at, context, depth);
        case '!': return text[at + 1] === '[' ? image(text, at, context) : null;
        case '<': return angle(text, at, context);
        case 'h': return bareURL(text, at, context);
        case '(': return path(text, at, context);
        default: return null;
    }
}

function codeSpan(text, at) {
    const ticks = /^`+/.exec(text.slice(at, at + 20))[0];
    const end = text.slice(0, at + REACH).indexOf(ticks, at + ticks.length);
    if (end < 0) return null;
    const inner = text.slice(at + ticks.length, end).replaceAll('\n', ' ');
    return { node: element('code', { dir: 'ltr' }, inner.trim() || inner), end: end + ticks.length };
}

function emphasis(text, at, context, depth) {
    const character = text[at];
    const isDouble = text[at + 1] === character;
    if (character === '~' && !isDouble) return null;
    const delimiter = isDouble ? character + character : character;
    const start = at + delimiter.length;
    if (/^\s?$/.test(text[start] ?? '')) return null;
    const isWord = (index) => /[\p{L}\p{N}]/u.test(text[index] ?? '');
    if (character === '_' && isWord(at - 1)) return null;
    const reach = text.slice(0, start + REACH);
    for (let end = reach.indexOf(delimiter, start); end >= 0; end = reach.indexOf(delimiter, end + 1)) {
        if (/\s/.test(text[end - 1]) || end === start) continue;
        if (character === '_' && isWord(end + delimiter.length)) continue;
        // A single mark does not end in the middle of a double one.
        if (!isDouble && (text[end + 1] === character || text[end - 1] === character)) continue;
        const name = character === '~' ? 's' : isDouble ? 'strong' : 'em';
        return { node: spans(element(name), text.slice(start, end), context, depth + 1), end: end + delimiter.length };
    }
    return null;
}

/** `[label](url)`, `[label][name]` and `[1]`. */
function bracket(text, at, context, depth) {
    let open = 0;
    let close = -1;
    for (let index = at; index < Math.min(text.length, at + REACH); index += 1) {
        if (text[index] === '\\') index += 1;
        else if (text[index] === '[') open += 1;
        else if (text[index] === ']' && (open -= 1) === 0) {
            close = index;
            break;
        }
    }
    if (close < 0) return null;
    const label = text.slice(at + 1, close);
    const rest = text.slice(close + 1, close + 1 + REACH);
    const inline = /^\(\s*<?([^\s<>()]*(?:\([^\s<>()]*\)[^\s<>()]*)*)>?(?:\s+["'(][^\n]{0,300}?["')])?\s*\)/.exec(rest);
    if (inline) return { node: linked(inline[1], label, context, depth), end: close + 1 + inline[0].length };
    const reference = /^\[([^\]]{0,80})\]/.exec(rest);
    const definition = context.definitions.get((reference?.[1] || label).toLowerCase());
    if (!definition) return null;
    const isNumber = /^\^?\d+$/.test(label);
    const shown = isNumber ? `[${label.replace('^', '')}]` : label;
    const node = isNumber
        ? element('sup', {}, link(definition.url, document.createTextNode(shown), context))
        : linked(definition.url, shown, context, depth);
    return { node, end: close + 1 + (reference?.[0].length ?? 0) };
}

function linked(url, label, context, depth) {
    const inner = document.createElement('bdi');
    // A link within a link is not a link.
    const withoutLinks = { ...context, isWithinLink: true };
    if (context.isWithinLink) return spans(inner, label, withoutLinks, depth + 1);
    return link(url, spans(inner, label, withoutLinks, depth + 1), context);
}

/** Images are never loaded: that would tell another host who reads. */
function image(text, at, context) {
    const match = /^!\[([^\]]{0,300})\]\(\s*([^\s()]{1,2000})[^)]{0,300}\)/.exec(text.slice(at, at + REACH));
    if (!match) return null;
    const label = `${context.texts.get('image')}: ${match[1] || match[2]}`;
    return { node: context.isWithinLink ? element('bdi', {}, label) : link(match[2], label, context), end: at + match[0].length };
}

function angle(text, at, context) {
    const match = /^<(https?:\/\/[^\s<>]{1,2000})>/.exec(text.slice(at, at + REACH));
    if (!match || context.isWithinLink) return null;
    return { node: link(match[1], match[1], context), end: at + match[0].length };
}

function bareURL(text, at, context) {
    if (context.isWithinLink || /[\p{L}\p{N}]/u.test(text[at - 1] ?? '')) return null;
    const match = /^https?:\/\/[^\s<>"“”]{1,2000}/.exec(text.slice(at, at + REACH));
    if (!match) return null;
    let url = match[0].replace(/[.,;:!?'"*_~\]]+$/, '');
    if (url.endsWith(')') && !url.includes('(')) url = url.slice(0, -1).replace(/[.,;:!?]+$/, '');
    return safeURL(url, context.base) ? { node: link(url, url, context), end: at + url.length } : null;
}

/** A path in parentheses, as sources are cited: `Service Levels (/ai/document/11/)`. */
function path(text, at, context) {
    if (context.isWithinLink) return null;
    const match = /^\((\/[^\s()/][^\s()]{0,500})\)/.exec(text.slice(at, at + 600));
    if (!match) return null;
    return { node: element('span', {}, '(', link(match[1], match[1], context), ')'), end: at + match[0].length };
}
