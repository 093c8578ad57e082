// Each file of Assets becomes a constant. The compiler notes the dependency, so a change of a file is built in.

#include "chat_page.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char icon_svg[] = {
#embed "Assets/icon.svg"
};
static const unsigned char page_css[] = {
#embed "Assets/page.css"
};
static const unsigned char types_d_ts[] = {
#embed "Assets/mcp-chat.d.ts"
};
static const unsigned char texts_js[] = {
#embed "Assets/mcp-chat-texts.js"
};
static const unsigned char client_js[] = {
#embed "Assets/mcp-chat-client.js"
};
static const unsigned char markdown_js[] = {
#embed "Assets/mcp-chat-markdown.js"
};
static const unsigned char style_js[] = {
#embed "Assets/mcp-chat-style.js"
};
static const unsigned char forms_js[] = {
#embed "Assets/mcp-chat-forms.js"
};
static const unsigned char replies_js[] = {
#embed "Assets/mcp-chat-replies.js"
};
static const unsigned char element_js[] = {
#embed "Assets/mcp-chat.js"
};
static const unsigned char page_texts_js[] = {
#embed "Assets/page-texts.js"
};
static const unsigned char exchange_js[] = {
#embed "Assets/page-exchange.js"
};
static const unsigned char page_js[] = {
#embed "Assets/page.js"
};
static const unsigned char status_js[] = {
#embed "Assets/status.js"
};
static const unsigned char index_html[] = {
#embed "Assets/index.html"
};
static const unsigned char status_html[] = {
#embed "Assets/status.html"
};

#define FILE(name, bytes) {name, bytes, sizeof bytes}

// A file comes after those that it refers to: references carry the hash of what they refer to.
static const chat_page_file files[] = {
    FILE("icon.svg", icon_svg),
    FILE("page.css", page_css),
    FILE("mcp-chat.d.ts", types_d_ts),
    FILE("mcp-chat-texts.js", texts_js),
    FILE("mcp-chat-client.js", client_js),
    FILE("mcp-chat-markdown.js", markdown_js),
    FILE("mcp-chat-style.js", style_js),
    FILE("mcp-chat-forms.js", forms_js),
    FILE("mcp-chat-replies.js", replies_js),
    FILE("mcp-chat.js", element_js),
    FILE("page-texts.js", page_texts_js),
    FILE("page-exchange.js", exchange_js),
    FILE("page.js", page_js),
    FILE("status.js", status_js),
    FILE("index.html", index_html),
    FILE("status.html", status_html),
};

size_t chat_page_file_count(void) {
    return sizeof files / sizeof files[0];
}

chat_page_file chat_page_file_at(size_t index) {
    return files[index];
}
