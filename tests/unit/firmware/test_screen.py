"""The display's grid: what is drawn, and that only changes are."""

from app1 import screen, stats


def rows(grid: screen.Grid) -> list[str]:
    text = "".join(chr(code & 0x7F) for code in grid.cells)
    return [text[at : at + screen.COLUMNS] for at in range(0, len(text), screen.COLUMNS)]


def a_set():
    values = stats.new_set()
    for port in range(6):
        values[port * stats.FIELDS_PER_PORT + stats.IRMS] = 54.321 + port
        values[port * stats.FIELDS_PER_PORT + stats.PRMS] = -12345.6 + port
    values[stats.VRMS] = 231.72
    values[stats.RSSI] = -52
    values[stats.BOARD_TEMPERATURE] = 22.04
    return values


def filled(values=None, calibrated=True, in_amperes=False, bottom="192.168.100.200") -> screen.Grid:
    grid = screen.Grid()
    screen.fill(grid, values, calibrated, in_amperes, bottom)
    return grid


def test_six_powers_the_voltage_and_the_address_are_shown_in_full():
    shown = rows(filled(a_set()))
    assert shown[0].split() == ["CT1", "-12.346", "kW"]
    assert shown[10].split() == ["CT6", "-12.341", "kW"]
    assert shown[12].split() == ["231.7", "V"]
    assert shown[14].split() == ["-52", "dBm"]
    assert shown[16].split() == ["22.0", "C"]
    assert shown[screen.ADDRESS_ROW] == "192.168.100.200"


def test_currents_take_the_place_of_powers():
    assert rows(filled(a_set(), in_amperes=True))[0].split() == ["CT1", "54.32", "A"]


def test_an_uncalibrated_unit_says_so_and_shows_its_address_and_no_reading():
    """Interface description 1.6: a two-line warning; the address line is still shown."""
    shown = rows(filled(a_set(), calibrated=False))
    assert "Uncalibrated" in shown[4]
    assert [row for row in shown[7 : screen.ADDRESS_ROW] if row.strip()] == []
    assert "CT1" not in "".join(shown)
    assert shown[screen.ADDRESS_ROW].strip() == "192.168.100.200"


def test_a_new_glass_gets_every_cell_and_then_only_what_changed():
    grid = filled(a_set())
    assert len(list(grid.changes())) == screen.COLUMNS * screen.ROWS
    assert list(grid.changes()) == []
    values = a_set()
    values[stats.VRMS] = 231.82
    screen.fill(grid, values, True, False, "192.168.100.200")
    assert list(grid.changes()) == [(9, 12, ord("8"))]


def test_a_glass_that_lost_its_supply_is_drawn_anew():
    grid = filled(a_set())
    list(grid.changes())
    grid.forget()
    assert len(list(grid.changes())) == screen.COLUMNS * screen.ROWS


def test_the_block_is_one_cell_that_comes_and_goes():
    grid = filled(a_set())
    list(grid.changes())
    grid.block(True)
    screen.fill(grid, a_set(), True, False, "192.168.100.200")
    assert [code for _, _, code in grid.changes()] == [screen.BLOCK]
    grid.block(False)
    assert [code for _, _, code in grid.changes()] == [ord(" ")]


def test_a_long_or_foreign_text_stays_within_its_row():
    grid = screen.Grid()
    grid.put(3, "Größe " * 10)
    assert rows(grid)[3] == "Gr??e Gr??e Gr?"
    assert rows(grid)[4].strip() == ""
