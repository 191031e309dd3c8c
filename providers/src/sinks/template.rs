//! Templates of bodies, in the language of Jinja: the fields of an event are its variables.

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};

use super::Event;
use crate::Error;

/// What a template may not exceed when it is rendered.
const LIMIT: usize = 256 << 10;

/// A body's template, tried with events that say all and nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    source: String,
}

impl Template {
    /// Takes a template that renders for every event.
    ///
    /// # Errors
    /// With what is wrong and in which line; `json`: also where what it renders is no JSON.
    pub fn parse(source: &str, json: bool) -> Result<Self, String> {
        let template = Self { source: source.to_owned() };
        for event in [Event::full_sample(), Event::bare_sample()] {
            let body = template.try_render(&event)?;
            if json && let Err(error) = serde_json::from_str::<serde_json::Value>(&body) {
                return Err(format!(
                    "what it renders for an event with quotes and line breaks in it is no JSON: {error}; write `{{{{ text | tojson \
                     }}}}`, without quotes around it, or set a `Content-Type` in `headers`"
                ));
            }
        }
        Ok(template)
    }

    /// The body for an event.
    ///
    /// # Errors
    /// `Rejected` where the template does not do for this event.
    pub fn render(&self, event: &Event) -> Result<String, Error> {
        self.try_render(event).map_err(|words| Error::rejected(format!("the body's template: {words}")))
    }

    fn try_render(&self, event: &Event) -> Result<String, String> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        let body = environment.render_named_str("body", &self.source, event).map_err(|error| explain(&error))?;
        if body.len() > LIMIT {
            return Err(format!("it renders more than {LIMIT} bytes"));
        }
        Ok(body)
    }
}

/// What is wrong and where, without a line of the source: there may be a token in it.
fn explain(error: &minijinja::Error) -> String {
    let line = error.line().map(|line| format!(" in line {line}")).unwrap_or_default();
    match error.kind() {
        ErrorKind::UndefinedError => format!("there is no such variable{line}"),
        kind => format!("{kind}{line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_s_fields_are_variables() {
        let template = Template::parse(
            "{\"text\": {{ (severity ~ \": \" ~ text) | tojson }}, \"names\": {{ names | tojson }}, \
             \"by\": {{ issuer | tojson }}}",
            true,
        );
        let rendered = template.unwrap().render(&Event::full_sample()).unwrap();
        let json: serde_json::Value = serde_json::from_str(&rendered).unwrap();
        assert_eq!(json["text"], "error: The CA says: \"no\".\n\\o/ {{ }}");
        assert_eq!(json["names"][1], "*.example.com");
        assert_eq!(json["by"], "letsencrypt");
    }

    #[test]
    fn nothing_is_escaped_for_another_language_than_the_template_s_own() {
        let template = Template::parse("{{ title }} <{{ url }}>", false).unwrap();
        let rendered = template.render(&Event::full_sample()).unwrap();
        assert_eq!(rendered, "`example.com` was not \"issued\" <https://ca.example.com/why>");
    }

    #[test]
    fn mistakes_are_found_before_there_is_an_event() {
        for (source, json, words) in [
            ("{{ titel }}", false, "there is no such variable in line 1"),
            ("\n{% if %}", false, "in line 2"),
            ("{{ title | nonsense }}", false, "unknown filter in line 1"),
            ("{\"text\": \"{{ text }}\"}", true, "is no JSON"),
            ("{% for a in range(99999) %}0123456789{% endfor %}", false, "renders more than"),
        ] {
            let error = Template::parse(source, json).unwrap_err();
            assert!(error.contains(words), "{source}: {error}");
        }
    }

    #[test]
    fn an_error_repeats_nothing_of_the_template() {
        let error = Template::parse("{{ canary }} {% canary %}", false).unwrap_err();
        assert!(!error.contains("canary"), "{error}");
    }
}
