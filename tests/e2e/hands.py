"""Real input: what a mouse, a finger or a keyboard does, through the browser's own event handling, in every engine.

The steps are those of WebDriver's Actions (W3C), which WebDriver BiDi has alike.
"""

from __future__ import annotations

from typing import Any, Final

from selenium.webdriver.remote.command import Command

from e2e.browser import Browser
from e2e.engines import Engine, Firefox, WebKit

LEFT: Final = 0
MIDDLE: Final = 1
RIGHT: Final = 2
CONTROL: Final = "\ue009"
SHIFT: Final = "\ue008"
ENTER: Final = "\ue007"

_MIDDLE_OF = """const {x, y, width, height} = document.querySelector(arguments[0]).getBoundingClientRect();
  return [Math.round(x + width / 2), Math.round(y + height / 2)]"""

Step = dict[str, Any]


def point(engine: Engine, selector: str) -> None:
    """Move the mouse to the middle of an element."""
    _perform(engine, _pointer("mouse", [_move(engine, selector)]))


def click(engine: Engine, selector: str, button: int = LEFT, key: str | None = None) -> None:
    """Click in the middle of an element, with a key held down where one is named."""
    steps = [_move(engine, selector), _step("pointerDown", button=button), _step("pointerUp", button=button)]
    if key is None:
        return _perform(engine, _pointer("mouse", steps))
    _perform(engine, _keyboard([_step("keyDown", value=key)]))
    _perform(engine, _pointer("mouse", steps))
    return _perform(engine, _keyboard([_step("keyUp", value=key)]))


def tap(engine: Engine, selector: str) -> None:
    """Touch the middle of an element with a finger."""
    steps = [_move(engine, selector), _step("pointerDown", button=LEFT), _step("pointerUp", button=LEFT)]
    _perform(engine, _pointer("touch", steps))


def press(engine: Engine, key: str) -> None:
    """Press a key and let it go."""
    _perform(engine, _keyboard([_step("keyDown", value=key), _step("keyUp", value=key)]))


def close_other_tabs(engine: Engine) -> None:
    """Close what clicks have opened."""
    if isinstance(engine, Firefox):
        for tab in engine.command("browsingContext.getTree")["contexts"]:
            if tab["context"] != engine.context:
                engine.command("browsingContext.close", context=tab["context"])
        return
    driver = _driver(engine)
    own, *others = driver.window_handles
    for handle in others:
        driver.switch_to.window(handle)
        driver.close()
    driver.switch_to.window(own)


def _move(engine: Engine, selector: str) -> Step:
    x, y = engine.run(_MIDDLE_OF, selector)
    return _step("pointerMove", x=x, y=y, duration=0, origin="viewport")


def _step(kind: str, **values: Any) -> Step:
    return {"type": kind, **values}


def _pointer(kind: str, steps: list[Step]) -> Step:
    return {"type": "pointer", "id": kind, "parameters": {"pointerType": kind}, "actions": steps}


def _keyboard(steps: list[Step]) -> Step:
    return {"type": "key", "id": "keyboard", "actions": steps}


def _perform(engine: Engine, source: Step) -> None:
    if isinstance(engine, Firefox):
        engine.command("input.performActions", context=engine.context, actions=[source])
    else:
        _driver(engine).execute(Command.W3C_ACTIONS, {"actions": [source]})


def _driver(engine: Engine) -> Any:
    assert isinstance(engine, Browser | WebKit)
    return engine.driver
