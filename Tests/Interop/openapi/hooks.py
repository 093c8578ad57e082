"""Loaded by schemathesis: what it checks beside its own rules."""
import schemathesis


@schemathesis.check
def only_the_tool_refuses_what_the_document_allows(ctx, response, case):
    """A valid payload may still be wrong for the tool (an unknown model), and only for the tool."""
    mode = case.meta.generation.mode if case.meta else None
    if mode is not None and mode.value == "positive" and response.status_code == 400:
        problem = response.json()
        assert problem["label"] == "tool_error", problem
