//! The parameters of a deployment: those given, those that the stack has, and those of the template.

use std::collections::BTreeMap;
use std::path::Path;

use rotation_aws::change_set::Declared;
use serde_json::Value;

use crate::failure::Failure;

/// Set by the archive, not by the stack: an archive has the packages of one architecture.
const ARCHITECTURE: &str = "Architecture";

/// Those of the file, and of the command line, which take precedence.
pub(super) fn given(
    file: Option<&Path>,
    pairs: &[(String, String)],
) -> Result<BTreeMap<String, String>, Failure> {
    let mut given = BTreeMap::new();
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
        given = read(&text).map_err(|problem| {
            Failure::Usage(format!(
                "{}: {problem}. Write {{\"NAME\": \"VALUE\", …}}, or the list of ParameterKey and \
                 ParameterValue of the AWS CLI.",
                path.display()
            ))
        })?;
    }
    given.extend(pairs.iter().cloned());
    Ok(given)
}

/// Reads an object of names and values, or the AWS CLI's list.
fn read(text: &str) -> Result<BTreeMap<String, String>, String> {
    let plain = |name: &str, value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(format!("the value of {name} is neither a text nor a number")),
    };
    match serde_json::from_str(text).map_err(|error| format!("this is no JSON ({error})"))? {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| Ok((name.clone(), plain(name, value)?))).collect()
        }
        Value::Array(list) => list
            .iter()
            // What is not given keeps its value anyway.
            .filter(|one| one["UsePreviousValue"] != true)
            .map(|one| {
                let name = one["ParameterKey"].as_str().ok_or("an entry has no ParameterKey")?;
                Ok((name.to_owned(), plain(name, &one["ParameterValue"])?))
            })
            .collect(),
        _ => Err("this is neither an object nor a list".into()),
    }
}

/// The parameters of a change set: what is given, otherwise what the stack has (`None`), otherwise
/// the default, which is left out.
pub(super) fn choose(
    declared: &[Declared],
    given: &BTreeMap<String, String>,
    before: &BTreeMap<String, String>,
) -> Result<Vec<(String, Option<String>)>, String> {
    for (name, value) in given {
        let Some(one) = declared.iter().find(|one| one.name == *name) else {
            let names: Vec<&str> = declared.iter().map(|one| &one.name[..]).collect();
            return Err(format!(
                "{name} is no parameter of this version. It has {}.",
                names.join(", ")
            ));
        };
        if name == ARCHITECTURE && one.default.as_ref() != Some(value) {
            return Err(format!(
                "This archive is for {}: take the archive for {value}, or leave {ARCHITECTURE} out.",
                one.default.as_deref().unwrap_or("another architecture")
            ));
        }
    }
    Ok(declared
        .iter()
        .filter_map(|one| match given.get(&one.name) {
            Some(value) => Some((one.name.clone(), Some(value.clone()))),
            None if one.name == ARCHITECTURE => None,
            None => before.contains_key(&one.name).then(|| (one.name.clone(), None)),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn both_forms_of_a_file_are_read() {
        let expected = map(&[("AlarmDays", "7"), ("SecretNames", "tls/*")]);
        for text in [
            r#"{"AlarmDays": 7, "SecretNames": "tls/*"}"#,
            r#"[{"ParameterKey": "AlarmDays", "ParameterValue": "7"},
                {"ParameterKey": "SecretNames", "ParameterValue": "tls/*"},
                {"ParameterKey": "NoticeDays", "UsePreviousValue": true}]"#,
        ] {
            assert_eq!(read(text), Ok(expected.clone()));
        }
        for (text, problem) in [
            ("", "this is no JSON"),
            ("7", "neither an object nor a list"),
            (r#"{"AlarmDays": [7]}"#, "the value of AlarmDays is neither a text nor a number"),
            (r#"["AlarmDays=7"]"#, "an entry has no ParameterKey"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(problem), "{said}");
        }
    }

    #[test]
    fn what_is_given_goes_before_what_there_was_and_the_default() {
        let one = |name: &str, default: &str| Declared {
            name: name.into(),
            default: Some(default.into()),
        };
        let declared =
            [one("AlarmDays", "14"), one("LogRetentionDays", "90"), one("Architecture", "arm64")];
        let before = map(&[("AlarmDays", "7"), ("Architecture", "x86_64"), ("Gone", "1")]);
        let none = map(&[]);
        for (given, before, expected) in [
            (map(&[]), &none, Ok(vec![])),
            (map(&[]), &before, Ok(vec![("AlarmDays", None)])),
            (map(&[("AlarmDays", "3")]), &before, Ok(vec![("AlarmDays", Some("3"))])),
            (
                map(&[("LogRetentionDays", "30")]),
                &before,
                Ok(vec![("AlarmDays", None), ("LogRetentionDays", Some("30"))]),
            ),
            (map(&[("Architecture", "arm64")]), &none, Ok(vec![("Architecture", Some("arm64"))])),
            (map(&[("Architecture", "x86_64")]), &none, Err("take the archive for x86_64")),
            (map(&[("AlarmDay", "2")]), &none, Err("AlarmDay is no parameter of this version.")),
        ] {
            match (choose(&declared, &given, before), expected) {
                (Ok(chosen), Ok(expected)) => {
                    let chosen: Vec<_> =
                        chosen.iter().map(|(name, value)| (&name[..], value.as_deref())).collect();
                    assert_eq!(chosen, expected);
                }
                (Err(said), Err(expected)) => assert!(said.contains(expected), "{said}"),
                (chosen, expected) => panic!("{chosen:?} instead of {expected:?}"),
            }
        }
    }
}
