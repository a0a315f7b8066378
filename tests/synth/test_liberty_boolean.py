"""Boolean functions as Liberty writes them."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibblemac.formats.errors import LibraryError
from nibblemac.synth import boolean
from nibblemac.synth.boolean import Expression, combine, invert, parse, pin

A, B, C = pin("A"), pin("B"), pin("C")


@pytest.mark.parametrize(
    ("text", "function"),
    [
        ("A", lambda a, b, c: a),
        ("!A", lambda a, b, c: not a),
        ("A'", lambda a, b, c: not a),
        ("!A'", lambda a, b, c: a),
        ("!!A", lambda a, b, c: a),
        ("A''", lambda a, b, c: a),
        ("A*B", lambda a, b, c: a and b),
        ("A&B", lambda a, b, c: a and b),
        ("A B", lambda a, b, c: a and b),
        ("(A)(B)", lambda a, b, c: a and b),
        ("A'B", lambda a, b, c: not a and b),
        ("A !B", lambda a, b, c: a and not b),
        ("A+B", lambda a, b, c: a or b),
        ("A|B", lambda a, b, c: a or b),
        ("A^B", lambda a, b, c: a != b),
        ("A + B C", lambda a, b, c: a or (b and c)),
        ("A B + C", lambda a, b, c: (a and b) or c),
        ("A*B^C", lambda a, b, c: a and (b != c)),
        ("A^B*C", lambda a, b, c: (a != b) and c),
        ("!A^B", lambda a, b, c: (not a) != b),
        ("A+B^C", lambda a, b, c: a or (b != c)),
        ("!(A+B)'", lambda a, b, c: a or b),
        ("(A+B)' C", lambda a, b, c: not (a or b) and c),
        ('\\"A\\" * "B"', lambda a, b, c: a and b),
        (" ( ( A ) ) ", lambda a, b, c: a),
        ("A*1", lambda a, b, c: a),
        ("A*0", lambda a, b, c: False),
        ("A+1", lambda a, b, c: True),
        ("A^1^B", lambda a, b, c: a == b),
        ("0", lambda a, b, c: False),
        ("!0", lambda a, b, c: True),
    ],
)
def test_functions(text, function):
    table = parse(text).truth_table(("A", "B", "C"))
    for row, (c, b, a) in enumerate(product((False, True), repeat=3)):
        assert bool(table >> row & 1) == bool(function(a, b, c)), (text, a, b, c)


@pytest.mark.parametrize(
    "text",
    ["", "  ", "A+", "+A", "A**B", "(A", "A)", "!", "'A", "A $ B", "A==B", "2", "()", "A;B", '"'],
)
def test_no_function(text):
    with pytest.raises(LibraryError, match="not a Boolean expression"):
        parse(text)


def test_no_recursion_error():
    assert parse("!" * 9999 + "A").operator == "!"
    with pytest.raises(LibraryError, match="deeper"):
        parse("(" * 5000 + "A" + ")" * 5000)
    with pytest.raises(LibraryError, match="longer"):
        parse("A+" * 20_000 + "A")
    wide = parse("+".join(f"P{i}" for i in range(2000)))
    assert len(wide.pins()) == 2000


def test_truth_table_limits():
    pins = tuple(f"P{i}" for i in range(12))
    assert parse("*".join(pins)).truth_table(pins) == 1 << 4095
    with pytest.raises(LibraryError, match="wider"):
        A.truth_table((*pins, "A"))
    with pytest.raises(LibraryError, match="'B', unknown"):
        parse("A*B").truth_table(("A",))


def test_bus_pins():
    assert parse("A[0]*A[1]").pins() == ("A[0]", "A[1]")


EXPRESSIONS = st.recursive(
    st.sampled_from([A, B, C, Expression("0"), Expression("1")]),
    lambda inner: st.one_of(
        inner.map(invert),
        st.tuples(st.sampled_from("*+^"), st.lists(inner, min_size=2, max_size=3)).map(
            lambda pair: combine(*pair)
        ),
    ),
    max_leaves=12,
)


@given(EXPRESSIONS)
def test_text_round_trip(expression):
    assert parse(str(expression)) == expression


@given(EXPRESSIONS)
def test_verilog_means_the_same(expression):
    # Fully parenthesised, Verilog's operators read as Liberty's once the signs are changed.
    text = expression.verilog().replace("~", "!").replace("1'b", "")
    table = expression.truth_table(("A", "B", "C"))
    assert parse(text).truth_table(("A", "B", "C")) == table


@given(EXPRESSIONS, st.integers(0, 7))
def test_truth_table_is_evaluation(expression, row):
    values = {name: row >> index & 1 for index, name in enumerate("ABC")}
    assert expression.truth_table(("A", "B", "C")) >> row & 1 == expression.evaluate(values)


@given(st.text(alphabet="AB01!'*+^&|() \"\\", max_size=30))
def test_any_text_parses_or_raises(text):
    try:
        expression = parse(text)
    except LibraryError:
        return
    assert parse(str(expression)) == expression


def test_rename_folds_constants():
    function = parse("A*B + !A*C")
    assert function.rename({"A": Expression("1")}) == B
    assert function.rename({"A": Expression("0")}) == C
    assert boolean.combine("^", [B, B]) == Expression("^", (B, B))
