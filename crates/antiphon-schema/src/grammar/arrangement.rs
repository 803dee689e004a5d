//! Lists without repetition (`uniqueItems`), where the form of their items lists the values.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

/// Up to this many different values, and this much text, a list without repetition is written as its arrangements:
/// 141 alternatives for five values.
const MAX_VALUES: usize = 5;
const MAX_TEXT: usize = 256;

/// The values that a form lists, without repetition; `None` if it does not list them.
pub(super) fn different_values(form: &Value, definitions: &Map<String, Value>) -> Option<Vec<Value>> {
    let mut values = Vec::new();
    let mut seen = HashSet::new();
    let mut followed = HashSet::new();
    let mut open = vec![form];
    while let Some(form) = open.pop() {
        let listed = if let Some(reference) = form.get("$ref") {
            if let Some(name) = reference.as_str()?.strip_prefix("#/$defs/")
                && followed.insert(name)
            {
                open.push(definitions.get(name)?);
            }
            Vec::new()
        } else if let Some(Value::Array(branches)) = form.get("anyOf") {
            open.extend(branches.iter().rev());
            Vec::new()
        } else if let Some(Value::Array(literals)) = form.get("enum") {
            literals.clone()
        } else {
            match form.get("type")?.as_str()? {
                "boolean" => vec![json!(false), json!(true)],
                "null" => vec![Value::Null],
                _ => return None,
            }
        };
        values.extend(listed.into_iter().filter(|value| seen.insert(canonical(value))));
    }
    Some(values)
}

/// Arrays of different values in any order, by what comes before their last item: each form holds two lengths.
/// `None` if they would be too many or too long.
pub(super) fn arrangements(values: &[Value], least: u64, most: u64) -> Option<Vec<Value>> {
    let text: usize = values.iter().map(|value| value.to_string().len()).sum();
    if values.len() > MAX_VALUES || text > MAX_TEXT {
        return None;
    }
    let mut forms = Vec::new();
    let mut longest = Some(most);
    while let Some(most) = longest.filter(|most| *most >= least) {
        let first = most.saturating_sub(1);
        for order in orders(values.len(), first) {
            let left: Vec<&Value> =
                values.iter().enumerate().filter(|(index, _)| !order.contains(index)).map(|(_, value)| value).collect();
            let mut form = json!({"type": "array", "minItems": first.max(least), "maxItems": most});
            if !order.is_empty() {
                form["prefixItems"] = order.iter().map(|index| json!({"const": values[*index]})).collect();
            }
            form["items"] = if most == 0 { Value::Bool(false) } else { json!({"enum": left}) };
            forms.push(form);
        }
        longest = most.checked_sub(2);
    }
    Some(forms)
}

/// Every way to choose so many of the indices one after another.
fn orders(indices: usize, chosen: u64) -> Vec<Vec<usize>> {
    let longer = |orders: Vec<Vec<usize>>, _| {
        let with = |order: &Vec<usize>, index| order.iter().copied().chain([index]).collect();
        let more = |order: &Vec<usize>| -> Vec<Vec<usize>> {
            (0..indices).filter(|index| !order.contains(index)).map(|index| with(order, index)).collect()
        };
        orders.iter().flat_map(more).collect()
    };
    (0..chosen).fold(vec![Vec::new()], longer)
}

/// One text for equal values, however their numbers and fields are written.
fn canonical(value: &Value) -> String {
    match value {
        Value::Number(number) => {
            number.as_f64().map_or_else(|| number.to_string(), |number| (number + 0.0).to_string())
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => {
            let mut fields: Vec<String> =
                fields.iter().map(|(name, field)| format!("{}:{}", json!(name), canonical(field))).collect();
            fields.sort();
            format!("{{{}}}", fields.join(","))
        }
        Value::Null | Value::Bool(_) | Value::String(_) => value.to_string(),
    }
}
