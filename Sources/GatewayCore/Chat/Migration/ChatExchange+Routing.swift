import NIOCore

extension ChatExchange {
    /// Sends a payload to the target that its type's route selects.
    func route(_ body: ByteBuffer) {
        switch chat.translator.type(of: body) {
        case .failure(let error):
            if error.label == .unknownType, let (upstream, timeout) = chat.unknownTypes {
                forward(body, to: upstream, timeout: timeout)
            } else {
                refuseBody(error)
            }
        case .success(let type):
            chatType = type
            if let refusal = refusal(of: type) { return respond(refusal) }
            switch type.route {
            case .direct:
                serve(type, body, at: type.target)
            case .canary(let rule, let other):
                serve(type, body, at: isChosen(by: rule) ? type.target : other)
            case .shadow(let rule, let other):
                serve(type, body, at: other, shadow: rule)
            }
        }
    }

    private func isChosen(by rule: CanaryRule) -> Bool {
        let client = CallerAddress(clientAddress)
        return rule.chooses(cookies: facts.cookies, authorization: facts.authorization, address: client.bytes)
    }
}
