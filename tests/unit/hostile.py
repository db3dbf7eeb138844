"""Labels that break writers which do not escape."""

HOSTILE = (
    "<script>alert('x')</script>",
    "a | b",
    "$x_1$ 100% & more #1 ~tilde^ {brace}",
    "back\\slash `code` *star* __init__ [link](javascript:alert(1))",
    "Ünïcødé 模型 модель نموذج",
    '"quoted", comma; semicolon',
    "very long " * 30,
    "line\nbreak\ttab",
    "\x1b[31mred\x1b[0m",
)
