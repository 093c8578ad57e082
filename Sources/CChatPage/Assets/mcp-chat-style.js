// The component's style sheet. A page changes its looks with the custom properties; constructed sheets are allowed by a
// content security policy that forbids inline styles.

export const sheet = new CSSStyleSheet();

sheet.replaceSync(`
:host {
    --_background: var(--mcp-chat-background, light-dark(#ffffff, #17191d));
    --_surface: var(--mcp-chat-surface, light-dark(#f1f3f6, #23272e));
    --_text: var(--mcp-chat-text, light-dark(#1b1e23, #e8eaee));
    --_muted: var(--mcp-chat-muted, light-dark(#565d68, #a9b0bc));
    --_border: var(--mcp-chat-border, light-dark(#d3d7de, #3a404a));
    --_control: var(--mcp-chat-control-border, light-dark(#777e8a, #858d9a));
    --_accent: var(--mcp-chat-accent, light-dark(#0b57b8, #8fbcff));
    --_on-accent: var(--mcp-chat-on-accent, light-dark(#ffffff, #08254d));
    --_error: var(--mcp-chat-error, light-dark(#a3171e, #ffb0ab));
    --_error-surface: var(--mcp-chat-error-surface, light-dark(#fdefee, #3a1f20));
    --_radius: var(--mcp-chat-radius, 10px);
    --_gap: var(--mcp-chat-gap, 12px);
    --_code: var(--mcp-chat-code-font, ui-monospace, 'Cascadia Code', 'DejaVu Sans Mono', monospace);
    display: flex;
    flex-direction: column;
    min-block-size: 18rem;
    box-sizing: border-box;
    overflow: hidden;
    color: var(--_text);
    background: var(--_background);
    border: 1px solid var(--_border);
    border-radius: var(--_radius);
    font: var(--mcp-chat-font, 1rem/1.5 system-ui, sans-serif);
    text-align: start;
}
:host([hidden]) { display: none; }
:host([theme=light]) { color-scheme: light; }
:host([theme=dark]) { color-scheme: dark; }
*, ::before, ::after { box-sizing: border-box; }
.hidden {
    position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%);
    white-space: nowrap; margin: -1px; padding: 0; border: 0;
}
.log {
    flex: 1; min-block-size: 8rem; overflow: auto; overscroll-behavior: contain; padding: var(--_gap);
    display: flex; flex-direction: column; gap: calc(var(--_gap) * 1.5); position: relative;
}
.log:empty::before { content: none; }
.empty { margin: auto; color: var(--_muted); text-align: center; }
.empty .buttons { justify-content: center; }
.turn { display: flex; flex-direction: column; gap: var(--_gap); overflow-wrap: anywhere; }
.ask {
    align-self: flex-end; max-inline-size: min(85%, 40rem); padding: .5rem .8rem; background: var(--_surface);
    border-radius: var(--_radius); border-end-end-radius: 2px; white-space: pre-wrap;
}
.ask dl { margin: 0; }
.body > :first-child { margin-block-start: 0; }
.body > :last-child { margin-block-end: 0; }
.body p, .body ul, .body ol, .body pre, .body blockquote, .body .scroll { margin-block: 0 .7rem; }
.body :is(h2, h3, h4, h5, h6) { margin-block: 1rem .4rem; font-size: 1.05em; line-height: 1.3; }
.body ul, .body ol { padding-inline-start: 1.6rem; }
.body li > p { margin-block-end: .3rem; }
.body blockquote { margin-inline: 0; padding-inline-start: .8rem; border-inline-start: 3px solid var(--_border); }
.body hr { border: 0; border-block-start: 1px solid var(--_border); }
.body cite { font-style: normal; color: var(--_muted); }
.body .sources { font-size: .9em; border-block-start: 1px solid var(--_border); padding-block-start: .5rem; }
.body table { border-collapse: collapse; }
.body :is(th, td) { border: 1px solid var(--_border); padding: .25rem .6rem; text-align: start; }
.scroll { overflow-x: auto; }
code, pre { font-family: var(--_code); font-size: .9em; }
:not(pre) > code { background: var(--_surface); border-radius: 4px; padding: .1em .3em; }
.code { position: relative; }
pre { background: var(--_surface); border-radius: 6px; padding: .7rem; overflow-x: auto; margin: 0; }
.code > pre { padding-block-end: 2.4rem; }
.code > .copy { position: absolute; inset-inline-end: .3rem; inset-block-end: .3rem; }
.plain { white-space: pre-wrap; overflow-wrap: anywhere; font: inherit; background: none; padding: 0; }
a { color: var(--_accent); text-underline-offset: .15em; }
.host { font-size: .85em; color: var(--_muted); }
.results { list-style: none; margin: 0; padding: 0 !important; display: grid; gap: .4rem; }
.results > li { padding: .5rem .8rem; border: 1px solid var(--_border); border-radius: 8px; }
.results .where { display: block; font-size: .85em; color: var(--_muted); }
dl { display: grid; grid-template-columns: auto 1fr; gap: .2rem .8rem; margin: 0; }
dt { color: var(--_muted); }
dd { margin: 0; }
.past { border-inline-start: 3px solid var(--_border); padding-inline-start: .8rem; }
.past + .past { margin-block-start: 1rem; }
.meta { display: flex; flex-wrap: wrap; gap: .1rem .9rem; margin-block-start: .4rem; font-size: .85em; color: var(--_muted); }
.waiting { color: var(--_muted); }
.waiting progress { inline-size: 10rem; accent-color: var(--_accent); vertical-align: middle; margin-inline-end: .6rem; }
.error { padding: .6rem .8rem; border: 1px solid var(--_error); border-radius: 8px; background: var(--_error-surface); }
.error p { margin: 0; }
.error .sentence { color: var(--_error); font-weight: 600; }
.error .id { font-size: .85em; margin-block-start: .3rem; color: var(--_text); }
.error .id code { background: none; padding: 0; user-select: all; }
.error .buttons, .empty .buttons { display: flex; flex-wrap: wrap; gap: .4rem; margin-block-start: .5rem; }
form { border-block-start: 1px solid var(--_border); padding: var(--_gap); display: grid; gap: .6rem; }
.fields { display: grid; gap: .6rem; grid-template-columns: repeat(auto-fit, minmax(min(14rem, 100%), 1fr)); }
.field { display: grid; gap: .2rem; align-content: start; }
label { font-size: .9em; font-weight: 600; }
.muted { color: var(--_muted); font-weight: 400; }
.hint { margin: 0; font-size: .85em; color: var(--_muted); }
.wrong { margin: 0; font-size: .9em; color: var(--_error); }
.wrong:empty { display: none; }
.question {
    border: 1px solid var(--_border); border-inline-start: 3px solid var(--_accent); border-radius: 8px; max-inline-size: 40rem;
    padding: var(--_gap); display: grid; gap: .6rem;
}
.question.answered { border-inline-start-color: var(--_border); }
.question form { border: 0; padding: 0; }
.question p { margin: 0; }
.question .message { white-space: pre-wrap; }
.question .buttons { display: flex; flex-wrap: wrap; gap: .5rem; }
fieldset { border: 1px solid var(--_border); border-radius: 8px; margin: 0; }
legend { font-size: .9em; font-weight: 600; }
.choice { display: flex; align-items: center; gap: .6rem; }
.choice label { font-weight: 400; }
input, select, textarea, button { font: inherit; color: inherit; }
input:not([type=checkbox]), select, textarea {
    inline-size: 100%; min-block-size: 2.75rem; padding: .5rem .7rem; background: var(--_background);
    border: 1px solid var(--_control); border-radius: 8px;
}
input[type=checkbox] { inline-size: 1.5rem; block-size: 1.5rem; accent-color: var(--_accent); }
textarea { resize: vertical; }
input, textarea { unicode-bidi: plaintext; text-align: start; }
[aria-invalid=true] { border-color: var(--_error) !important; }
.bar { display: flex; flex-wrap: wrap; gap: .6rem; align-items: end; }
.bar .field { flex: 1 1 9rem; max-inline-size: 16rem; }
.bar .space { flex: 1; }
button {
    min-block-size: 2.75rem; padding: .4rem 1.1rem; border-radius: 8px; border: 1px solid var(--_control);
    background: var(--_background); cursor: pointer;
}
button:hover { background: var(--_surface); }
button.main { background: var(--_accent); color: var(--_on-accent); border-color: transparent; font-weight: 600; }
button.main:hover { filter: brightness(1.08); }
button.quiet { min-block-size: 1.75rem; padding: .1rem .6rem; font-size: .85em; }
button[disabled] { opacity: .55; cursor: default; }
:focus-visible { outline: 3px solid var(--_accent); outline-offset: 1px; }
.log:focus-visible, pre:focus-visible { outline-offset: -3px; }
@media (forced-colors: active) { button.main, .error { border: 1px solid; } }
@media (max-width: 30rem) {
    .ask { max-inline-size: 95%; }
    .bar .field { max-inline-size: none; flex-basis: 100%; }
    .bar .main { flex: 1; }
}
`);
