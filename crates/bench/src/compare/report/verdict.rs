//! The verdict in words: who wins the shape, by how much, at what cost, and where that changes.

use super::{
    digits, mebibytes,
    rows::{Line, is_ours, kept_up, lines, percentile, ranked},
    short, time,
};
use crate::compare::{
    record::{Row, Section},
    statistics::Ratio,
};

/// One sentence or two for each thing worth saying, the most important first.
#[must_use]
pub(crate) fn verdict(section: &Section) -> Vec<String> {
    let lines = lines(section);
    let Some(best) = lines.first() else {
        return vec!["Nobody was measured.".to_owned()];
    };
    let mut said = vec![winner(section, &lines)];
    said.push(cost(best, &lines));
    said.extend(crossover(section));
    said.extend(ours(&lines));
    said.extend(latency(section, best));
    said
}

fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn winner(section: &Section, lines: &[Line<'_>]) -> String {
    let leaders: Vec<&str> = lines.iter().filter(|line| line.leads()).map(Line::name).collect();
    let (best, at) = (&lines[0], section.main_point().map_or(0, |point| point.at));
    let place = section.axis.place(at);
    let speed = short(best.median);
    if leaders.len() > 1 {
        return format!(
            "A tie with {place}: {} are all at about {speed} operations a second; their differences are inside the spread.",
            list(&leaders)
        );
    }
    let next = lines.get(1).and_then(|next| {
        let factor = Ratio::of(&best.row.per_second, &next.row.per_second)?;
        Some(format!(
            ", {} times {}, the next ({} to {})",
            digits(factor.median),
            next.name(),
            digits(factor.low),
            digits(factor.high)
        ))
    });
    format!(
        "{} wins with {place}: {speed} operations a second{}.",
        best.name(),
        next.unwrap_or_default()
    )
}

fn cost(best: &Line<'_>, lines: &[Line<'_>]) -> String {
    let cheapest = lines
        .iter()
        .min_by(|a, b| a.cpu_seconds_per_million.total_cmp(&b.cpu_seconds_per_million))
        .filter(|line| line.name() != best.name());
    let cheapest = cheapest.map_or_else(
        || ", the least of all,".to_owned(),
        |line| {
            format!(
                " (the least is {} with {})",
                line.name(),
                digits(line.cpu_seconds_per_million)
            )
        },
    );
    format!(
        "Its cost: {} CPU seconds per million operations{cheapest} and at most {} of memory.",
        digits(best.cpu_seconds_per_million),
        mebibytes(best.peak_bytes)
    )
}

/// Who leads where on the axis; a new leader counts only if it is not a tie with the one before.
fn crossover(section: &Section) -> Option<String> {
    let mut leaders: Vec<(u64, &Row)> = Vec::new();
    for point in &section.points {
        let best = *ranked(point).first()?;
        let stays = leaders.last().is_some_and(|(_, before)| {
            point
                .rows
                .iter()
                .find(|row| row.subject == before.subject)
                .is_some_and(|now| {
                    Ratio::of(&now.per_second, &best.per_second).is_some_and(|ratio| ratio.is_tie())
                })
        });
        if !stays {
            leaders.push((point.at, best));
        }
    }
    let (first, last) = (section.points.first()?.at, section.points.last()?.at);
    let axis = section.axis;
    Some(match leaders.as_slice() {
        [] => return None,
        [(_, only)] => format!(
            "No crossover: from {} to {} nobody is faster than {} beyond the spread.",
            axis.place(first),
            axis.place(last),
            only.subject
        ),
        [(_, start), changes @ ..] => {
            let changes: Vec<String> = changes
                .iter()
                .map(|(at, row)| format!("from {} on {}", axis.place(*at), row.subject))
                .collect();
            format!(
                "Crossover: with {} {} leads, {}.",
                axis.place(first),
                start.subject,
                changes.join(", ")
            )
        }
    })
}

/// How near the best of this project's engines is, if none of them leads.
fn ours(lines: &[Line<'_>]) -> Option<String> {
    if lines.iter().any(|line| line.leads() && is_ours(line.name())) {
        return None;
    }
    let line = lines.iter().find(|line| is_ours(line.name()))?;
    let ratio = line.ratio?;
    Some(format!(
        "The best of Quintet's engines here is {}, at {} of the winner ({} to {}).",
        line.name(),
        digits(ratio.median),
        digits(ratio.low),
        digits(ratio.high)
    ))
}

fn latency(section: &Section, best: &Line<'_>) -> Option<String> {
    let paced = section.latency.first()?;
    let keeping: Vec<(&str, f64)> = paced
        .rows
        .iter()
        .filter(|(name, _)| kept_up(paced, name))
        .filter_map(|(name, _)| Some((name.as_str(), percentile(paced, name, 99.0)?)))
        .collect();
    let (name, p99) = keeping.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
    let own = percentile(paced, best.name(), 99.0)
        .filter(|_| *name != best.name())
        .map_or_else(String::new, |own| {
            format!("; {} needs {}", best.name(), time(own))
        });
    let behind: Vec<&str> = paced
        .rows
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| !kept_up(paced, name))
        .collect();
    let behind = if behind.is_empty() {
        String::new()
    } else {
        format!(" {} could not keep up with that rate.", list(&behind))
    };
    Some(format!(
        "At a steady {} operations a second {name} has the lowest 99th percentile, {}{own}.{behind}",
        short(paced.per_second),
        time(*p99)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::record::tests::section;

    #[test]
    fn a_difference_inside_the_spread_is_said_to_be_a_tie() {
        let said = verdict(&section("x"));
        assert!(
            said[0].starts_with("A tie with 4 clients: b and c are all"),
            "{}",
            said[0]
        );
    }

    #[test]
    fn the_winner_its_lead_its_cost_and_the_crossover_are_named() {
        let mut section = section("x");
        section.points[1].rows[1].per_second = vec![4000.0, 4200.0, 4400.0];
        section.points[1].rows[1].cpu_seconds_per_million = vec![0.5; 3];
        let said = verdict(&section).join("\n");
        assert!(
            said.contains("b wins with 4 clients: 4.20 k operations a second"),
            "{said}"
        );
        assert!(said.contains("times c, the next"), "{said}");
        assert!(
            said.contains("0.50 CPU seconds per million operations, the least of all"),
            "{said}"
        );
        assert!(
            said.contains("with 1 client a leads, from 4 clients on b"),
            "{said}"
        );
        assert!(
            said.contains("b has the lowest 99th percentile, 8.00 µs."),
            "{said}"
        );
    }
}
