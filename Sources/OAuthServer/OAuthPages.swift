import Crypto
import Foundation
import Store

/// Pages for people: plain HTML without scripts, in the style of the chat page.
enum OAuthPages {
    private static let style = """
        :root{color-scheme:light dark;--background:light-dark(#f7f8fa,#101215);--surface:light-dark(#fff,#17191d);\
        --text:light-dark(#1b1e23,#e8eaee);--muted:light-dark(#565d68,#a9b0bc);--border:light-dark(#d3d7de,#3a404a);\
        --control:light-dark(#777e8a,#858d9a);--accent:light-dark(#0b57b8,#8fbcff);\
        --on-accent:light-dark(#fff,#08254d);--error:light-dark(#a3171e,#ffb0ab)}\
        *,::before,::after{box-sizing:border-box}html{font:1rem/1.5 system-ui,sans-serif;background:var(--background);\
        color:var(--text)}body{margin:0 auto;max-inline-size:34rem;padding:1.5rem 1rem 3rem;overflow-wrap:anywhere}\
        main{border:1px solid var(--border);border-radius:10px;background:var(--surface);padding:1.2rem}\
        h1{font-size:1.35rem;line-height:1.2;margin:0 0 .8rem}h2{font-size:1.05rem;margin:1rem 0 .3rem}\
        p{margin:0 0 .8rem}a{color:var(--accent)}dl{margin:0 0 .8rem}dt{color:var(--muted);font-size:.9rem}\
        dd{margin:0 0 .5rem;font-weight:600}ul{margin:0 0 1rem;padding-inline-start:1.2rem}\
        .muted{color:var(--muted);font-size:.9rem}.wrong{color:var(--error);font-weight:600}\
        .alone{display:inline-block;padding-block:.6rem}\
        label{display:block;font-size:.9rem;font-weight:600;margin:.6rem 0 .2rem}\
        input{font:inherit;color:inherit;inline-size:100%;min-block-size:2.75rem;padding:.5rem .7rem;\
        background:var(--surface);border:1px solid var(--control);border-radius:8px}\
        .actions{display:flex;flex-wrap:wrap;gap:.6rem;margin-block-start:1rem}\
        button{font:inherit;color:inherit;min-block-size:2.75rem;padding:.4rem 1.1rem;border-radius:8px;\
        border:1px solid var(--control);background:var(--surface);cursor:pointer}\
        button.main{background:var(--accent);color:var(--on-accent);border-color:transparent;font-weight:600}\
        :focus-visible{outline:3px solid var(--accent);outline-offset:1px}
        """

    /// Source expression of a content security policy that allows the style sheet.
    static let styleSource =
        "sha256-" + Data(SHA256.hash(data: Array(style.utf8))).base64EncodedString()

    /// Returns the form that asks for a user name and a password.
    static func login(
        continuing target: String, username: String?, siteLogin: String?, problem: String?
    ) -> String {
        let message = problem.map { "<p class=\"wrong\" role=\"alert\">\(escape($0))</p>" } ?? ""
        let site =
            siteLogin.map { "<p><a class=\"alone\" href=\"\(escape($0))\">Sign in with the site's account</a></p>" }
            ?? ""
        return page(
            "Sign in",
            """
            \(message)<form method="post" action="/oauth/login">
            <input type="hidden" name="continue" value="\(escape(target))">
            <label for="username">User name</label>
            <input id="username" name="username" autocomplete="username" required maxlength="150" \
            value="\(escape(username ?? ""))"\(username == nil ? " autofocus" : "")>
            <label for="password">Password</label>
            <input id="password" name="password" type="password" autocomplete="current-password" required\
            \(username == nil ? "" : " autofocus")>
            <div class="actions"><button class="main">Sign in</button></div>
            </form>\(site)
            """)
    }

    /// Consent that a user is asked for.
    struct Consent {
        let client: OAuthClient
        let redirectURI: RedirectURI
        /// Descriptions of the scopes, in their order.
        let scopes: [String]
        let username: String
        /// Sealed request, bound to this user.
        let request: String
        /// URL of the page on which another user can sign in.
        let otherUser: String
    }

    /// Returns the page that asks whether a client may act for the user.
    static func consent(_ consent: Consent) -> String {
        let origin =
            switch consent.client.origin {
            case .configured: "known to the operator of this server"
            case .document(let host): host
            case .registered: "not verified: it registered itself under this name"
            }
        let destination =
            consent.redirectURI.isLoopback
            ? "an application on your own device"
            : consent.redirectURI.host.isEmpty
                ? "the application for \(consent.redirectURI.scheme):" : consent.redirectURI.host
        let scopes =
            consent.scopes.isEmpty
            ? "<p>It may use the tools that every signed-in user may use.</p>"
            : "<p>It may:</p><ul>" + consent.scopes.map { "<li>\(escape($0))</li>" }.joined() + "</ul>"
        return page(
            "Allow \(consent.client.name)?",
            """
            <p><strong>\(escape(consent.client.name))</strong> asks to act for you, \
            <strong>\(escape(consent.username))</strong>.</p>
            <dl><dt>Who asks</dt><dd>\(escape(origin))</dd>
            <dt>Your answer goes to</dt><dd>\(escape(destination))</dd></dl>
            \(scopes)<p class="muted">Allow this only if you have just started it yourself. You can withdraw it under \
            <a href="/oauth/grants">your permissions</a>.</p>
            <form method="post" action="/oauth/consent">
            <input type="hidden" name="request" value="\(escape(consent.request))">
            <div class="actions"><button class="main" name="decision" value="allow">Allow</button>
            <button name="decision" value="deny">Do not allow</button></div></form>
            <p class="muted"><a class="alone" href="\(escape(consent.otherUser))">Sign in as another user</a></p>
            """)
    }

    /// A permission that a user gave to a client.
    struct Permission {
        let grant: OAuthGrant
        /// Descriptions of the scopes.
        let scopes: [String]
        /// Sealed request to withdraw it, bound to this user.
        let request: String
    }

    /// Returns the page that lists the user's permissions.
    static func grants(_ permissions: [Permission], username: String) -> String {
        let entries = permissions.map { permission in
            let scopes = permission.scopes.isEmpty ? "no particular scope" : permission.scopes.joined(separator: ", ")
            return """
                <h2>\(escape(permission.grant.clientName))</h2>
                <dl><dt>Client</dt><dd>\(escape(permission.grant.clientID))</dd>
                <dt>May</dt><dd>\(escape(scopes))</dd>
                <dt>Allowed, last used</dt><dd>\(day(permission.grant.createdAt)), \(day(permission.grant.usedAt))</dd></dl>
                <form method="post" action="/oauth/grants">
                <input type="hidden" name="request" value="\(escape(permission.request))">
                <button>Withdraw<span class="muted"> from \(escape(permission.grant.clientName))</span></button></form>
                """
        }
        let list = entries.isEmpty ? "<p>You have given no permission.</p>" : entries.joined()
        return page("Your permissions", "<p>Signed in as <strong>\(escape(username))</strong>.</p>\(list)")
    }

    /// Returns the page for an error that must not be sent to the client, because its address is not verified.
    static func problem(_ text: String) -> String {
        page(
            "This does not work",
            "<p class=\"wrong\" role=\"alert\">\(escape(text))</p>"
                + "<p>Go back to the application and try again.</p>")
    }

    private static func page(_ title: String, _ content: String) -> String {
        """
        <!doctype html><html lang="en"><head><meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">
        <title>\(escape(title))</title><style>\(style)</style></head>
        <body><main><h1>\(escape(title))</h1>\(content)</main></body></html>
        """
    }

    private static func day(_ date: Date) -> String { String(date.timestamp.prefix(10)) }

    /// Escapes text for content and quoted attributes.
    static func escape(_ text: String) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "'": escaped += "&#39;"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
