//! A small tree over quick-xml: the CloudFront API's answers are nested lists, and this is all that reading them takes.

use quick_xml::events::Event;

/// One element with its text and children.
#[derive(Debug, Default, Clone)]
pub struct Element {
    /// The name without its namespace.
    pub name: String,
    /// The text directly inside.
    pub text: String,
    /// The elements directly inside.
    pub children: Vec<Element>,
}

/// Text that is not well-formed XML.
#[derive(Debug, thiserror::Error)]
#[error("the engine's answer is not well-formed XML")]
pub struct NotXml;

impl Element {
    /// Reads a document and returns its root.
    pub fn parse(text: &str) -> Result<Self, NotXml> {
        let mut reader = quick_xml::Reader::from_str(text);
        let mut open = vec![Self::default()];
        loop {
            match reader.read_event().map_err(|_| NotXml)? {
                Event::Start(start) => open.push(Self {
                    name: String::from_utf8_lossy(start.local_name().as_ref()).into_owned(),
                    ..Self::default()
                }),
                Event::Empty(start) => {
                    let name = String::from_utf8_lossy(start.local_name().as_ref()).into_owned();
                    open.last_mut().ok_or(NotXml)?.children.push(Self { name, ..Self::default() });
                }
                Event::End(_) => {
                    let closed = open.pop().ok_or(NotXml)?;
                    open.last_mut().ok_or(NotXml)?.children.push(closed);
                }
                Event::Text(piece) => {
                    let piece = piece.decode().map_err(|_| NotXml)?;
                    open.last_mut().ok_or(NotXml)?.text.push_str(&piece);
                }
                Event::CData(piece) => {
                    let piece = piece.decode().map_err(|_| NotXml)?;
                    open.last_mut().ok_or(NotXml)?.text.push_str(&piece);
                }
                Event::GeneralRef(reference) => {
                    let character = match reference.resolve_char_ref().map_err(|_| NotXml)? {
                        Some(character) => character,
                        None => match reference.decode().map_err(|_| NotXml)?.as_ref() {
                            "amp" => '&',
                            "lt" => '<',
                            "gt" => '>',
                            "quot" => '"',
                            "apos" => '\'',
                            _ => return Err(NotXml),
                        },
                    };
                    open.last_mut().ok_or(NotXml)?.text.push(character);
                }
                Event::Eof => break,
                _ => {}
            }
        }
        match (open.pop(), open.pop()) {
            (Some(mut document), None) => document.children.pop().ok_or(NotXml),
            _ => Err(NotXml),
        }
    }

    /// The first child of that name.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The trimmed text of that child, if it is there and not empty.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim()).filter(|text| !text.is_empty())
    }

    /// Whether that child says `true`.
    pub fn flag(&self, name: &str) -> bool {
        self.value(name) == Some("true")
    }

    /// That child as a number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.value(name).and_then(|text| text.parse().ok())
    }

    /// What stands in `<name><Items>...</Items></name>`.
    pub fn items(&self, name: &str) -> &[Self] {
        self.child(name).map_or(&[], Self::items_here)
    }

    /// What stands in this element's own `<Items>`.
    pub fn items_here(&self) -> &[Self] {
        self.child("Items").map_or(&[], |items| items.children.as_slice())
    }

    /// The texts of its own list.
    pub fn texts_here(&self) -> Vec<String> {
        self.items_here().iter().map(|item| item.text.trim().to_owned()).collect()
    }

    /// The texts of such a list.
    pub fn texts(&self, name: &str) -> Vec<String> {
        self.child(name).map(Self::texts_here).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_flags_and_entities() {
        let root = Element::parse(
            "<?xml version='1.0'?><a xmlns='urn:x'><on>true</on><n>12</n><l><Quantity>2</Quantity><Items><i>x &amp; y</i>\
             <i>&#60;</i></Items></l><none/></a>",
        )
        .unwrap();
        assert_eq!(root.name, "a");
        assert!(root.flag("on"));
        assert_eq!(root.number("n"), Some(12));
        assert_eq!(root.texts("l"), ["x & y", "<"]);
        assert_eq!(root.value("none"), None);
        assert!(root.texts("none").is_empty());
        assert!(Element::parse("<a><b></a>").is_err());
        assert!(Element::parse("").is_err());
    }
}
