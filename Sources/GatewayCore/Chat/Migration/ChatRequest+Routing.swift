import NIOCore

extension ChatRequest {
    /// Sends a payload to the target that its type's route selects.
    func route(_ body: ByteBuffer) {
        switch chat.translator.type(of: body) {
        case .failure(let error):
            if answers(body, after: error) { return }
            if error.label == .unknownType, let (upstream, timeout) = chat.unknownTypes {
                forward(body, to: upstream, timeout: timeout)
            } else {
                refuseBody(error)
            }
        case .success(let type):
            chatType = type
            whenAllowed(type) { [self] in serve(type, body) }
        }
    }

    private func serve(_ type: ChatType, _ body: ByteBuffer) {
        switch type.route {
        case .direct:
            serve(type, body, at: type.target)
        case .canary(let rule, let other):
            serve(type, body, at: isChosen(by: rule) ? type.target : other)
        case .shadow(let rule, let other):
            serve(type, body, at: other, shadow: rule)
        }
    }

    private func isChosen(by rule: CanaryRule) -> Bool {
        let client = CallerAddress(clientAddress)
        return rule.chooses(cookies: facts.cookies, authorization: facts.authorization, address: client.bytes)
    }
}
