//! A judgement for people, and for scripts.

use crate::cli::configuration::{print, print_json};
use directory::live::class::Class;
use directory::{Finding, Step};
use gateway::explain::asked::Asked;
use gateway::explain::judgement::{Case, Decision, Judgement, Ran};
use relay::policy::Stage;
use serde_json::{Value, json};

pub(super) fn judgement(case: &Case, judgement: &Judgement, as_json: bool) {
    if as_json {
        print_json(&document(case, judgement));
    } else {
        print(&text(case, judgement));
    }
}

fn text(case: &Case, judgement: &Judgement) -> String {
    let mut text = dialogue(case, judgement);
    let mut stage = None;
    for ran in &judgement.ran {
        if stage.replace(ran.stage) != Some(ran.stage) {
            text.push_str(&format!("\n{}\n", heading(ran.stage)));
        }
        text.push_str(&of_rule(ran));
        text.extend(ran.asked.as_ref().map(steps));
    }
    if let Decision::Malformed(stage) = &judgement.decision {
        text.push_str(&format!("\n{}\n", heading(*stage)));
        text.push_str("  REFUSED  the command is malformed, so no rule is asked\n");
    }
    if !judgement.is_accepted() && !judgement.not_run.is_empty() {
        let names = judgement.not_run.iter().map(|(_, rule)| rule.name).collect::<Vec<_>>();
        text.push_str(&format!("\nNot run, since that decides: {}\n", names.join(", ")));
    }
    text + &ending(judgement)
}

fn ending(judgement: &Judgement) -> String {
    let heard = format!("The client hears:  {}\n", judgement.reply);
    match &judgement.decision {
        Decision::Malformed(_) => format!("\n{heard}The next hop hears nothing.\n"),
        Decision::Refused(rule) => {
            format!("\nThe rule {} decides.\n{heard}The next hop hears nothing.\n", rule.name)
        }
        Decision::Relayed(route) => format!(
            "\nNo rule objects. The mail goes to {route}\n\
             The next hop hears:  RCPT TO:<{}>\n\
             {heard}provided that the next hop accepts; else its own refusal is passed on.\n",
            route.recipient
        ),
        Decision::Discarded(reason) => format!(
            "\nNo rule objects. The mail is discarded on purpose: {reason}\n\
             {heard}The next hop hears nothing.\n"
        ),
    }
}

fn dialogue(case: &Case, judgement: &Judgement) -> String {
    let who = match &judgement.network {
        Some(network) => format!("in the network {network}"),
        None => "in no network of the configuration".into(),
    };
    let size = case.size_octets.map(|octets| format!(" SIZE={octets}")).unwrap_or_default();
    format!(
        "{}, {who}\n  EHLO {}\n  MAIL FROM:<{}>{size}\n  RCPT TO:<{}>\n",
        case.client, case.hello, case.from, case.to
    )
}

fn heading(stage: Stage) -> &'static str {
    match stage {
        Stage::Connect => "At the connection",
        Stage::Hello => "At EHLO",
        Stage::Mail => "At MAIL",
        Stage::Recipient => "At RCPT",
        Stage::Content => "At the end of the message",
    }
}

fn of_rule(ran: &Ran) -> String {
    let answer = if ran.refusal.is_some() { "REFUSED" } else { "passed" };
    let Ran { rule, fact, .. } = ran;
    format!("  {answer:<8} {:<17} {}\n{:29}{fact}\n", rule.name, rule.help, "")
}

/// What each source said to the rule.
fn steps(asked: &Asked) -> String {
    let decides = &asked.trace.found.source;
    let line = |step: &Step| {
        let mark = if step.source == *decides { " <- decides" } else { "" };
        format!("{:31}{step}{mark}\n", "")
    };
    asked.sources.iter().map(line).collect()
}

fn document(case: &Case, judgement: &Judgement) -> Value {
    let rules = judgement.ran.iter().map(|ran| {
        json!({
            "stage": ran.stage.name(),
            "rule": ran.rule.name,
            "help": ran.rule.help,
            "fact": ran.fact,
            "answer": if ran.refusal.is_some() { "refused" } else { "passed" },
            "refusal": ran.refusal.as_ref().map(|refusal| refusal.name()),
            "decides": ran.refusal.is_some(),
        })
    });
    let not_run = judgement.not_run.iter();
    let not_run = not_run.map(|(stage, rule)| json!({ "stage": stage.name(), "rule": rule.name }));
    let sources = judgement.asked().into_iter().flat_map(|asked| {
        let decides = &asked.trace.found.source;
        asked.sources.iter().map(move |step| {
            json!({
                "source": &*step.source,
                "answer": step.finding.as_ref().map(Finding::to_string),
                "age_seconds": step.account.age_seconds,
                "class": step.account.class.map(Class::word),
                "note": step.account.note,
                "note_age_seconds": step.account.note_age_seconds,
                "decides": step.source == *decides,
            })
        })
    });
    let (accepted, decided_by, route) = match &judgement.decision {
        Decision::Malformed(_) => (false, Some("syntax"), None),
        Decision::Refused(rule) => (false, Some(rule.name), None),
        Decision::Relayed(route) => (true, None, Some(route)),
        Decision::Discarded(_) => (true, None, None),
    };
    let reply = &judgement.reply;
    json!({
        "client": case.client,
        "network": judgement.network,
        "hello": case.hello,
        "from": case.from,
        "to": case.to,
        "rules": rules.collect::<Value>(),
        "not_run": not_run.collect::<Value>(),
        "sources": sources.collect::<Value>(),
        "accepted": accepted,
        "decided_by": decided_by,
        "code": reply.code(),
        "reply": reply.to_string(),
        "discarded": matches!(judgement.decision, Decision::Discarded(_)),
        "next_hop": route.map(|route| &route.hosts),
        "next_hop_hears": route.map(|route| route.recipient.to_string()),
    })
}
