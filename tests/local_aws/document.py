"""CloudFront's XML, stored as received: an element that no SDK supports stays in its place."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from .errors import AwsError

NAMESPACE = "http://cloudfront.amazonaws.com/doc/2020-05-31/"
ElementTree.register_namespace("", NAMESPACE)


def parse(body: bytes | str, root_name: str | None = None) -> Element:
    builder = ElementTree.TreeBuilder(insert_comments=True, insert_pis=True)
    try:
        root = ElementTree.XML(body, parser=ElementTree.XMLParser(target=builder))
    except ElementTree.ParseError as error:
        raise AwsError("MalformedXML", f"Could not parse the request: {error}") from error
    for element in root.iter():
        # CloudFront accepts a document without a namespace as one in its own namespace.
        if isinstance(element.tag, str) and not element.tag.startswith("{"):
            element.tag = qualified(element.tag)
    if root_name and local_name(root) != root_name:
        raise AwsError("MalformedXML", f"Expected {root_name}, not {local_name(root)}.")
    return root


def serialize(root: Element) -> str:
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode")


def qualified(path: str) -> str:
    return "/".join(f"{{{NAMESPACE}}}{name}" for name in path.split("/"))


def find(parent: Element, path: str) -> Element | None:
    return parent.find(qualified(path))


def find_all(parent: Element, path: str) -> list[Element]:
    return parent.findall(qualified(path))


def text(parent: Element, path: str) -> str:
    """The text at `path`; "" if the element is missing."""
    return (parent.findtext(qualified(path)) or "").strip()


def flag(parent: Element, path: str) -> bool:
    return text(parent, path) == "true"


def local_name(element: Element) -> str:
    return str(element.tag).removeprefix(f"{{{NAMESPACE}}}")


def build(name: str, content: Any = None) -> Element:
    """Builds an element from plain values: a dict (without its `None`s), a list of elements, or a text."""
    element = Element(qualified(name))
    if isinstance(content, dict):
        element.extend(
            child if isinstance(child, Element) else build(child_name, child)
            for child_name, child in content.items()
            if child is not None
        )
    elif isinstance(content, list):
        element.extend(content)
    elif isinstance(content, bool):
        element.text = str(content).lower()
    elif content is not None:
        element.text = str(content)
    return element


def items(name: str, item_name: str, values: Iterable[Any]) -> Element:
    """A list as CloudFront writes it: Quantity, and Items only if there are any."""
    entries = [build(item_name, value) for value in values]
    return build(name, {"Quantity": len(entries), "Items": entries or None})


def put(parent: Element, child: Element) -> None:
    """Replaces the child of that name in its position, or appends it."""
    current = parent.find(child.tag)
    if current is None:
        parent.append(child)
    else:
        child.tail = current.tail
        parent[list(parent).index(current)] = child


def remove(parent: Element, name: str) -> None:
    for child in find_all(parent, name):
        parent.remove(child)


def copy_of(element: Element) -> Element:
    """A copy for a response, without the white space that followed the original."""
    copied = deepcopy(element)
    copied.tail = None
    return copied
