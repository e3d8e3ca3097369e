//! From a question to the lines that answer it. No socket here.

use serde::Serialize;

use super::{
    api::{Answers, Refusal},
    wire::{Ask, Code, ErrorLine, Head, NoticeLine, Request, VERSION, WireError},
};
use crate::observe::model::{Answer, Filter};

/// Answers a question that is not followed: head line and item lines.
pub fn reply(request: &Request, answers: &dyn Answers) -> Result<Vec<u8>, WireError> {
    let filter = &request.filter;
    match request.ask {
        Ask::Status => {
            let status = answers.status();
            let (completeness, lost) = (status.completeness, status.lost.clone());
            Ok(lines(&Answer {
                v: VERSION,
                completeness,
                lost,
                items: vec![status],
            }))
        }
        Ask::Services => Ok(listed(answers.services(filter), filter)),
        Ask::Edges => Ok(listed(answers.edges(filter), filter)),
        Ask::Tcp => Ok(listed(answers.tcp(filter), filter)),
        Ask::Flows => Ok(listed(answers.flows(filter), filter)),
        Ask::Exchanges => Ok(listed(answers.exchanges(filter), filter)),
        Ask::Verdicts => Ok(listed(answers.verdicts(filter), filter)),
        Ask::Policies => Ok(lines(&whole(answers.policies()))),
        Ask::PoliciesYaml => Ok(lines(&whole(vec![answers.policies_yaml()]))),
        Ask::PolicyApply => names(answers.policy_apply(&request.files)),
        Ask::PolicyCheck => names(answers.policy_check(&request.files)),
        Ask::PolicyDelete => delete(request, answers),
        Ask::PolicyExplain => explain(request, answers),
    }
}

fn names(result: Result<Vec<String>, Vec<Refusal>>) -> Result<Vec<u8>, WireError> {
    let refusals = match result {
        Ok(names) => return Ok(lines(&whole(names))),
        Err(refusals) => refusals,
    };
    let reason = match refusals.len() {
        1 => "policies were refused for one fault; nothing was changed".to_owned(),
        n => format!("policies were refused for {n} faults; nothing was changed"),
    };
    Err(WireError {
        refusals,
        ..WireError::new(Code::Refused, reason, "mend what is named and try again")
    })
}

fn delete(request: &Request, answers: &dyn Answers) -> Result<Vec<u8>, WireError> {
    let name = request.name.as_deref().ok_or_else(|| missing("name"))?;
    match answers.policy_delete(name) {
        Ok(true) => Ok(lines(&whole(vec![name]))),
        Ok(false) => Err(WireError::new(
            Code::NotFound,
            format!("there is no policy `{name}`"),
            "`weir policy list` names those that are loaded",
        )),
        Err(error) => Err(failed(&error)),
    }
}

fn explain(request: &Request, answers: &dyn Answers) -> Result<Vec<u8>, WireError> {
    let query = request.explain.as_ref().ok_or_else(|| missing("explain"))?;
    match answers.policy_explain(query) {
        Ok(explanation) => Ok(lines(&whole(vec![explanation]))),
        Err(error) => Err(failed(&error)),
    }
}

fn missing(field: &str) -> WireError {
    WireError::new(
        Code::BadRequest,
        format!("the request has no `{field}`"),
        format!("add \"{field}\""),
    )
}

fn failed(error: &anyhow::Error) -> WireError {
    let reason = format!("{error:#}");
    WireError::new(
        Code::Failed,
        reason,
        "`weir status` and the daemon's log tell more",
    )
}

/// The items for which the filter's conditions hold.
fn listed<T: Serialize>(mut answer: Answer<T>, filter: &Filter) -> Vec<u8> {
    answer.items.retain(|item| filter.agrees(item));
    lines(&answer)
}

/// An answer that loss cannot affect.
fn whole<T>(items: Vec<T>) -> Answer<T> {
    Answer {
        v: VERSION,
        completeness: 1.0,
        lost: Default::default(),
        items,
    }
}

fn lines<T: Serialize>(answer: &Answer<T>) -> Vec<u8> {
    let mut out = Vec::with_capacity(128 + answer.items.len() * 256);
    let head = Head {
        v: answer.v,
        completeness: answer.completeness,
        lost: answer.lost.clone(),
        items: Some(answer.items.len() as u64),
    };
    push(&mut out, &head);
    for item in &answer.items {
        push(&mut out, item);
    }
    out
}

/// Appends one JSON line.
pub fn push<T: Serialize>(out: &mut Vec<u8>, value: &T) {
    let start = out.len();
    if let Err(error) = serde_json::to_writer(&mut *out, value) {
        // No value of the contract can fail (string keys only); should one ever, the line says so.
        out.truncate(start);
        out.extend_from_slice(&error_line(WireError::new(
            Code::Failed,
            format!("an item cannot be written: {error}"),
            "report this as a bug of weir",
        )));
        return;
    }
    out.push(b'\n');
}

/// An error as its line.
pub fn error_line(error: WireError) -> Vec<u8> {
    let mut line = serde_json::to_vec(&ErrorLine { error }).unwrap_or_default();
    line.push(b'\n');
    line
}

/// A notice as its line.
pub fn notice_line(notice: super::wire::Notice) -> Vec<u8> {
    let mut line = Vec::new();
    push(&mut line, &NoticeLine { notice });
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_counted_and_not_policies() {
        let fault = |line| Refusal {
            file: "web.yaml".into(),
            line,
            reason: "`kind` is not known".into(),
            remedy: "write `kind: TrafficPolicy`".into(),
        };
        for (faults, told) in [(1, "for one fault;"), (3, "for 3 faults;")] {
            let error = names(Err((1..=faults).map(fault).collect())).expect_err("refused");
            assert!(error.reason.contains(told), "{}", error.reason);
            assert_eq!(error.refusals.len(), faults as usize);
        }
    }
}
