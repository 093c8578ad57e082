// A form for a configured type: one control for each field of its schema.

import { element } from './mcp-chat-markdown.js?v=dev';

/** Names of fields that hold whole sentences; they get a text area. */
const SENTENCES = ['message', 'prompt', 'text', 'question'];

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
        for (const { field, control, error } of this.#controls) {
            const problem = this.#take(field, control, payload);
            error.textContent = problem ?? '';
            if (problem) control.setAttribute('aria-invalid', 'true');
            else control.removeAttribute('aria-invalid');
            if (problem) wrong ??= control;
        }
        wrong?.focus();
        return wrong ? null : payload;
    }

    clear() {
        for (const { control, error } of this.#controls) {
            if (control.localName === 'textarea') {
                control.value = '';
                grow(control);
            }
            control.removeAttribute('aria-invalid');
            error.textContent = '';
        }
    }

    #take(field, control, payload) {
        const label = this.#texts.name('field', field.name);
        if (control.type === 'checkbox') {
            payload[field.name] = control.checked;
            return null;
        }
        const text = control.value;
        if (text.trim() === '') return field.required ? this.#texts.get('required', { field: label }) : null;
        if (control.dataset.kind === 'json') {
            try {
                payload[field.name] = JSON.parse(text);
            } catch {
                return this.#texts.get('notJSON', { field: label });
            }
        } else {
            payload[field.name] = control.type === 'number' ? control.valueAsNumber : text;
        }
        return null;
    }

    #labelled(field) {
        const id = `field-${(count += 1)}`;
        const control = this.#control(field, id);
        const error = element('p', { id: `${id}-error`, className: 'wrong', role: 'alert' });
        const label = element('label', { htmlFor: id }, this.#texts.name('field', field.name));
        if (!field.required && control.type !== 'checkbox') {
            label.append(element('span', { className: 'muted' }, ` (${this.#texts.get('optional')})`));
        }
        const described = [`${id}-error`];
        const node = element('div', { className: 'field' }, label, control, error);
        if (control.localName === 'input' && control.type === 'text') node.append(...suggestions(field.schema, control));
        if (field.schema.description) {
            node.append(element('p', { id: `${id}-hint`, className: 'hint', dir: 'auto' }, field.schema.description));
            described.push(`${id}-hint`);
        }
        control.setAttribute('aria-describedby', described.join(' '));
        if (field.required) control.setAttribute('aria-required', 'true');
        this.#controls.push({ field, control, error });
        return node;
    }

    #control({ name, schema }, id) {
        const common = { id, name };
        if (Array.isArray(schema.enum)) {
            const options = schema.enum.map((value) => element('option', { value: String(value) }, String(value)));
            return element('select', common, ...options);
        }
        switch (schema.type) {
            case 'boolean': return element('input', { ...common, type: 'checkbox' });
            case 'integer': return element('input', { ...common, type: 'number', step: '1' });
            case 'number': return element('input', { ...common, type: 'number', step: 'any' });
            case 'object':
            case 'array': {
                const area = element('textarea', { ...common, rows: 3, dir: 'ltr' });
                area.dataset.kind = 'json';
                return area;
            }
            default: break;
        }
        if (!SENTENCES.includes(name)) {
            return element('input', { ...common, type: 'text', autocomplete: 'off', maxLength: schema.maxLength });
        }
        const area = element('textarea', { ...common, rows: 1, maxLength: schema.maxLength });
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

function grow(area) {
    area.rows = Math.min(8, area.value.split('\n').length);
}
