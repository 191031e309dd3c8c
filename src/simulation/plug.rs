//! When the plug is pulled: a chosen number of writes after something has come about.

/// What has come about: from here on writes are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Milestone {
    /// A CA has made an order.
    Made,
    /// A CA or a DNS host did not do what it was asked.
    Failed,
    /// A CA has issued.
    Issued,
    /// The DNS host was asked to withdraw a value.
    Withdrawn,
}

impl Milestone {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Made, Self::Failed, Self::Issued, Self::Withdrawn];
}

/// Pulls of the plug that wait for their milestone, in the order in which they were set up.
#[derive(Debug, Default)]
pub(super) struct Plugs {
    waiting: Vec<(Milestone, u32)>,
}

impl Plugs {
    /// The plug is to be pulled so many writes after the next such milestone that no other waits for.
    pub(super) fn set_up(&mut self, milestone: Milestone, writes: u32) {
        self.waiting.push((milestone, writes));
    }

    /// It has come about: after so many writes the plug is pulled; `None`: it is not pulled.
    pub(super) fn comes(&mut self, milestone: Milestone) -> Option<u32> {
        let first = self.waiting.iter().position(|(at, _)| *at == milestone)?;
        Some(self.waiting.remove(first).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_milestone_uses_up_what_was_set_up_for_it_first() {
        let mut plugs = Plugs::default();
        plugs.set_up(Milestone::Made, 3);
        plugs.set_up(Milestone::Issued, 0);
        plugs.set_up(Milestone::Made, 1);
        let comes = [Milestone::Made, Milestone::Failed, Milestone::Made, Milestone::Made, Milestone::Issued];
        assert_eq!(comes.map(|milestone| plugs.comes(milestone)), [Some(3), None, Some(1), None, Some(0)]);
    }
}
