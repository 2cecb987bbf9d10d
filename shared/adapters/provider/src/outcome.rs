//! What several providers answered, and what they agree on.

/// One provider's answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply<A, S> {
    /// Its place in the settings.
    pub provider: usize,
    /// One per item asked; `None` where it could not say.
    pub answers: Vec<Option<A>>,
    /// What came along and is not compared, as where it read.
    pub aside: S,
}

/// All replies to one question.
#[derive(Debug, Clone)]
pub struct Outcome<A, S> {
    /// In the order they came in.
    pub replies: Vec<Reply<A, S>>,
    /// How many providers there are, asked or not.
    pub providers: usize,
    /// How many must agree.
    pub quorum: usize,
    /// How many were not heard out, for it could not have mattered.
    pub unheard: usize,
}

/// What came out for one item.
#[derive(Debug, PartialEq, Eq)]
pub enum Standing<'a, A, S> {
    /// A quorum says this: its answer, and the replies that gave it.
    Agreed(&'a A, Vec<&'a Reply<A, S>>),
    /// There are answers enough, but no so many equal ones.
    Disagree,
    /// Too few answers.
    Silent,
}

impl<A: Eq, S> Outcome<A, S> {
    /// How an item of the question came out.
    pub fn standing(&self, item: usize) -> Standing<'_, A, S> {
        let answers = || self.answers(item);
        for (_, answer) in answers() {
            let agreeing: Vec<_> =
                answers().filter_map(|(reply, other)| (other == answer).then_some(reply)).collect();
            if agreeing.len() >= self.quorum {
                return Standing::Agreed(answer, agreeing);
            }
        }
        match answers().count() >= self.quorum {
            true => Standing::Disagree,
            false => Standing::Silent,
        }
    }

    /// Whether any two providers differ about an item.
    pub fn differs(&self, item: usize) -> bool {
        let mut answers = self.answers(item).map(|(_, answer)| answer);
        let first = answers.next();
        answers.any(|answer| Some(answer) != first)
    }

    /// Whether this reply says other than a quorum.
    pub fn is_outvoted(&self, reply: &Reply<A, S>) -> bool {
        reply.answers.iter().enumerate().any(|(item, answer)| match (answer, self.standing(item)) {
            (Some(answer), Standing::Agreed(agreed, _)) => answer != agreed,
            _ => false,
        })
    }

    /// Why nothing is known of an item that is not agreed on; for callers.
    pub fn reason(&self, item: usize) -> String {
        let heard = self.answers(item).count() + self.unheard;
        let silent = self.providers.saturating_sub(heard);
        match self.standing(item) {
            Standing::Silent if self.providers == 0 => "no provider is configured".to_owned(),
            Standing::Silent if self.providers == 1 => "the provider does not answer".to_owned(),
            Standing::Silent => format!("{silent} of {} providers do not answer", self.providers),
            _ => "the providers disagree".to_owned(),
        }
    }

    /// The most equal answers that an item has.
    pub(crate) fn votes(&self, item: usize) -> usize {
        self.answers(item)
            .map(|(_, answer)| self.answers(item).filter(|(_, other)| *other == answer).count())
            .max()
            .unwrap_or(0)
    }

    fn answers(&self, item: usize) -> impl Iterator<Item = (&Reply<A, S>, &A)> {
        self.replies
            .iter()
            .filter_map(move |reply| Some((reply, reply.answers.get(item)?.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(providers: usize, replies: &[&[Option<u8>]]) -> Outcome<u8, ()> {
        let replies = replies.iter().enumerate();
        let reply = |(provider, answers): (usize, &&[Option<u8>])| Reply {
            provider,
            answers: answers.to_vec(),
            aside: (),
        };
        Outcome { replies: replies.map(reply).collect(), providers, quorum: 2, unheard: 0 }
    }

    #[test]
    fn a_quorum_of_equal_answers_agrees_item_by_item() {
        let outcome = outcome(
            3,
            &[&[Some(1), Some(1), None], &[Some(2), Some(1), Some(3)], &[Some(1), None, None]],
        );
        let Standing::Agreed(1, agreeing) = outcome.standing(0) else { panic!() };
        assert_eq!(agreeing.iter().map(|reply| reply.provider).collect::<Vec<_>>(), [0, 2]);
        assert!(matches!(outcome.standing(1), Standing::Agreed(1, _)));
        assert_eq!(outcome.standing(2), Standing::Silent);
        assert_eq!(outcome.standing(9), Standing::Silent);
        assert_eq!([0, 1, 2].map(|item| outcome.votes(item)), [2, 2, 1]);
        assert_eq!([0, 1, 2].map(|item| outcome.differs(item)), [true, false, false]);
        let outvoted: Vec<_> =
            outcome.replies.iter().map(|reply| outcome.is_outvoted(reply)).collect();
        assert_eq!(outvoted, [false, true, false]);
    }

    #[test]
    fn nobody_is_outvoted_without_a_quorum() {
        let outcome = outcome(3, &[&[Some(1)], &[Some(2)], &[Some(3)]]);
        assert_eq!(outcome.standing(0), Standing::Disagree);
        assert!(!outcome.replies.iter().any(|reply| outcome.is_outvoted(reply)));
        assert_eq!(outcome.reason(0), "the providers disagree");
    }

    #[test]
    fn reasons_count_who_is_silent() {
        let reason = |providers, replies: &[&[Option<u8>]]| outcome(providers, replies).reason(0);
        assert_eq!(reason(3, &[&[Some(1)]]), "2 of 3 providers do not answer");
        assert_eq!(reason(3, &[&[None], &[None]]), "3 of 3 providers do not answer");
        assert_eq!(reason(1, &[]), "the provider does not answer");
        assert_eq!(reason(0, &[]), "no provider is configured");
    }
}
