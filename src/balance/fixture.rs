//! Servers for the tests of this room.

use proptest::prelude::*;

use super::{Servers, WHOLE};

/// What a test says about one server.
#[derive(Clone, Debug)]
pub struct State {
    pub weight: u32,
    pub active: u32,
    pub usable: bool,
    /// Part of its weight, of `WHOLE`.
    pub ramp: u32,
}

/// A plain list of states.
#[derive(Clone, Debug)]
pub struct Pool {
    pub states: Vec<State>,
}

impl Pool {
    /// Idle, usable servers.
    pub fn with_weights(weights: &[u32]) -> Pool {
        let state = |&weight: &u32| State { weight, active: 0, usable: true, ramp: WHOLE };
        let states = weights.iter().map(state);
        Pool { states: states.collect() }
    }

    /// Names and weights as a balancer takes them.
    pub fn names(&self) -> Vec<(String, u32)> {
        let name = |(i, state): (usize, &State)| (format!("10.0.0.{i}:80"), state.weight);
        self.states.iter().enumerate().map(name).collect()
    }
}

impl Servers for Pool {
    fn len(&self) -> usize {
        self.states.len()
    }

    fn weight(&self, i: usize) -> u32 {
        self.states[i].weight
    }

    fn ramp(&self, i: usize) -> u32 {
        self.states[i].ramp
    }

    fn active(&self, i: usize) -> u32 {
        self.states[i].active
    }

    fn usable(&self, i: usize) -> bool {
        self.states[i].usable
    }
}

/// One to eight servers in any state.
pub fn pool() -> impl Strategy<Value = Pool> {
    let state = (1u32..20, 0u32..50, any::<bool>()).prop_map(|(weight, active, usable)| State {
        weight,
        active,
        usable,
        ramp: WHOLE,
    });
    prop::collection::vec(state, 1..9).prop_map(|states| Pool { states })
}
