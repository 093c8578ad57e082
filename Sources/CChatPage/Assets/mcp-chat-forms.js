// Forms: of a configured type, with one control for each field of its schema, and of a tool's question to its user.

import { clean, element, link, safeURL } from './mcp-chat-markdown.js?v=dev';

/** Names of fields that hold whole sentences; they get a text area. */
const SENTENCES = ['message', 'prompt', 'text', 'question'];

/** Kinds of `<input>` for the formats of a text. A time is asked for in the user's own zone. */
const INPUTS = { email: 'email', uri: 'url', date: 'date', 'date-time': 'datetime-local' };

let count = 0;

/** The controls of one type. */
export class TypeFields {
    #type;
    #texts;
    #controls = [];
    /** The labelled controls, to be put into a form. */
    node = element('div', { className: 'fields' });

    constructor(type, texts) {
        this.#type = type;
        this.#texts = texts;
        for (const field of type.fields) this.node.append(this.#labelled(field));
    }

    get first() {
        return this.#controls[0]?.control ?? null;
    }

    /** Returns the payload to send; null when a value is missing or wrong, which is then reported beside its field. */
    payload() {
        const payload = { type: this.#type.name };
        let wrong = null;
        for (const entry of this.#controls) {
            const problem = this.#take(entry.field, entry.control, payload);
            this.#mark(entry, problem ?? '');
            if (problem) wrong ??= entry.control;
        }
        focusIn(wrong);
        return wrong ? null : payload;
    }

    /** Shows the server's words about a value beside the field that they name; false when they name none. */
    failed(text) {
        const entry = this.#controls.find(({ field: { name } }) => text.split(/[:[]/, 1)[0] === name || text.includes(`'${name}'`));
        if (!entry) return false;
        this.#mark(entry, clean(text.replace(`${entry.field.name}: `, '')));
        focusIn(entry.control);
        return true;
    }

    #mark({ control, error }, problem) {
        error.textContent = problem;
        if (problem) control.setAttribute('aria-invalid', 'true');
        else control.removeAttribute('aria-invalid');
    }

    clear() {
        for (const entry of this.#controls) {
            const { control } = entry;
            if (control.localName === 'textarea') {
                control.value = '';
                grow(control);
            }
            this.#mark(entry, '');
        }
    }

    #take(field, control, payload) {
        const label = this.#label(field);
        if (control.type === 'checkbox') {
            payload[field.name] = control.checked;
            return null;
        }
        if (control.localName === 'fieldset') {
            const chosen = [...control.querySelectorAll('input')].flatMap((box, index) => (box.checked ? [field.options[index].value] : []));
            if (field.required || chosen.length > 0) payload[field.name] = chosen;
            return null;
        }
        if (control.validity.badInput) return this.#texts.get('notNumber', { field: label });
        const text = control.value;
        if (text.trim() === '') return field.required ? this.#texts.get('required', { field: label }) : null;
        if (control.dataset.kind === 'json') {
            try {
                payload[field.name] = JSON.parse(text);
            } catch {
                return this.#texts.get('notJSON', { field: label });
            }
        } else if (control.localName === 'select') {
            payload[field.name] = optionsOf(field)[Number(text)].value;
        } else if (control.type === 'datetime-local') {
            payload[field.name] = new Date(text).toISOString();
        } else {
            payload[field.name] = control.type === 'number' ? control.valueAsNumber : text;
        }
        return null;
    }

    #label({ label, name }) {
        return label === undefined ? this.#texts.name('field', name) : clean(label);
    }

    #labelled(field) {
        const id = `field-${(count += 1)}`;
        const control = this.#control(field, id);
        const error = element('p', { id: `${id}-error`, className: 'wrong', role: 'alert' });
        const isGroup = control.localName === 'fieldset';
        const label = element(isGroup ? 'legend' : 'label', isGroup ? {} : { htmlFor: id }, this.#label(field));
        if (!field.required && control.type !== 'checkbox') {
            label.append(element('span', { className: 'muted' }, ` (${this.#texts.get('optional')})`));
        }
        const described = [`${id}-error`];
        const node = isGroup ? control : element('div', { className: 'field' }, control);
        node.prepend(label);
        node.append(error);
        if (control.localName === 'input' && control.type === 'text') node.append(...suggestions(field.schema, control));
        if (field.schema.description) {
            node.append(element('p', { id: `${id}-hint`, className: 'hint', dir: 'auto' }, clean(field.schema.description)));
            described.push(`${id}-hint`);
        }
        control.setAttribute('aria-describedby', described.join(' '));
        if (field.required) control.setAttribute('aria-required', 'true');
        this.#controls.push({ field, control, error });
        return node;
    }

    #control(field, id) {
        const { name, schema, given } = field;
        const common = { id, name };
        const options = optionsOf(field);
        if (schema.type === 'choices') {
            return element('fieldset', { id, className: 'field' }, ...options.map(({ value, label }, index) => {
                const box = element('input', { id: `${id}-${index}`, type: 'checkbox', name, checked: given?.includes?.(value) });
                return element('div', { className: 'choice' }, box, element('label', { htmlFor: box.id }, clean(label)));
            }));
        }
        if (options) {
            const nodes = options.map(({ value, label }, index) => element('option', { value: String(index), selected: value === given }, clean(label)));
            if (field.options && given === undefined) nodes.unshift(element('option', { value: '' }, this.#texts.get('question.choose')));
            return element('select', common, ...nodes);
        }
        switch (schema.type) {
            case 'boolean': return element('input', { ...common, type: 'checkbox', checked: given === true });
            case 'integer':
            case 'number': return element('input', {
                ...common, type: 'number', step: schema.type === 'number' ? 'any' : '1', value: given ?? '',
            });
            case 'object':
            case 'array': {
                const area = element('textarea', { ...common, rows: 3, dir: 'ltr' });
                area.dataset.kind = 'json';
                return area;
            }
            default: break;
        }
        if (!SENTENCES.includes(name)) {
            const type = field.label === undefined ? 'text' : INPUTS[schema.format] ?? 'text';
            return element('input', { ...common, type, autocomplete: 'off', maxLength: schema.maxLength, value: given ?? '' });
        }
        const area = element('textarea', { ...common, rows: 1, maxLength: schema.maxLength, value: given ?? '' });
        area.addEventListener('input', () => grow(area));
        // Return sends, Shift-Return begins a line; a return that ends an input method's word does neither.
        area.addEventListener('keydown', (event) => {
            if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return;
            event.preventDefault();
            area.form?.requestSubmit();
        });
        return area;
    }
}

/** The values that a field's schema names, offered while it is filled in; any other may be typed. */
function suggestions({ examples }, control) {
    const values = (Array.isArray(examples) ? examples : []).filter((value) => typeof value === 'string').slice(0, 100);
    if (values.length < 2) return [];
    const list = element('datalist', { id: `${control.id}-values` }, ...values.map((value) => element('option', { value })));
    control.setAttribute('list', list.id);
    return [list];
}

/** The values that a field may have, where it has a choice of them. */
function optionsOf({ options, schema }) {
    return options ?? (Array.isArray(schema.enum) ? schema.enum.map((value) => ({ value, label: String(value) })) : null);
}

function focusIn(control) {
    (control?.querySelector('input') ?? control)?.focus();
}

/** The form of a tool's question to its user: the fields that the tool names, or a page to visit. */
export class QuestionForm {
    /** The group of the question, to be put into a conversation. */
    node;
    #question;
    #texts;
    #fields;
    #buttons;
    #problem;
    #form = element('form', { noValidate: true });

    /** @param answer Called with the payload of an answer; the form is locked until `failed` or `settled` is called. */
    constructor(question, context, answer) {
        this.#question = question;
        const texts = (this.#texts = context.texts);
        const id = `question-${(count += 1)}`;
        this.#problem = element('p', { id: `${id}-error`, className: 'wrong', role: 'alert' });
        this.node = element('div', {
            className: 'question', role: 'group', tabIndex: -1, 'aria-labelledby': id, 'aria-describedby': this.#problem.id,
        }, element('p', { id, className: 'message', dir: 'auto' }, this.message), this.#form);
        const fields = (question.fields ?? []).map(({ kind, hint, default: given, ...field }) => ({
            ...field, given, schema: { ...field, type: kind, description: hint },
        }));
        this.#fields = new TypeFields({ fields }, texts);
        this.#buttons = ['accept', 'decline', 'cancel'].map((action) => {
            const isMain = action === 'accept';
            const name = isMain && question.url ? 'question.visited' : `question.${action}`;
            const button = element('button', { type: isMain ? 'submit' : 'button', className: isMain ? 'main' : '' }, texts.get(name));
            if (!isMain) button.addEventListener('click', () => this.#give(action, answer));
            return button;
        });
        this.#form.append(
            question.url ? page(question.url, context) : this.#fields.node, this.#problem,
            element('div', { className: 'buttons' }, ...this.#buttons),
        );
        const until = new Date(question.expires);
        if (!Number.isNaN(until.valueOf())) {
            const time = new Intl.DateTimeFormat(context.locale, { timeStyle: 'short' }).format(until);
            this.#form.append(element('p', { className: 'hint' }, texts.get('question.until', { time })));
        }
        this.#form.addEventListener('submit', (event) => {
            event.preventDefault();
            this.#give('accept', answer);
        });
    }

    get message() {
        return clean(this.#question.message ?? '');
    }

    focus() {
        focusIn(this.#fields.first ?? this.node.querySelector('a') ?? this.node);
    }

    /** Says why an answer was refused, and lets the user answer again. */
    failed(text) {
        this.#lock(false);
        if (this.#fields.failed(text)) return;
        this.#problem.textContent = clean(text);
        this.#buttons[0].focus();
    }

    /** Puts the decision of the user in the place of the form. */
    settled(action) {
        this.#form.replaceWith(element('p', { className: 'muted' }, this.#texts.get(`question.${action}.done`)));
        this.node.removeAttribute('aria-describedby');
        this.node.classList.add('answered');
    }

    #give(action, answer) {
        if (this.#buttons[0].disabled) return;
        const payload = { type: 'answer', id: this.#question.id, action };
        if (action === 'accept' && !this.#question.url) {
            const given = this.#fields.payload();
            if (!given) return;
            const { type: _, ...values } = given;
            payload.values = values;
        }
        this.#problem.textContent = '';
        this.#lock(true);
        answer(payload);
    }

    #lock(isLocked) {
        for (const button of this.#buttons) button.disabled = isLocked;
    }
}

/** The link to a page that a tool asks its user to visit, with the host to which it leads. */
function page(url, { texts, base }) {
    const label = `${texts.get('question.open')} (${safeURL(url, base)?.host ?? '–'})`;
    const shown = link(url, label, { base, newTab: texts.get('newTab') });
    return element('p', { className: 'page' }, Object.assign(shown, { target: '_blank', rel: 'noopener noreferrer nofollow' }));
}

function grow(area) {
    area.rows = Math.min(8, area.value.split('\n').length);
}
