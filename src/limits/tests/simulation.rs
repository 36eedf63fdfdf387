//! Thousands of callers, floods and reloads, against a model of GCRA that fits on a page: seeded, on a clock that only
//! moves when it is told to.

use std::collections::HashMap;

use super::*;

/// SplitMix64: the same run for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }
}

/// A bucket as the theory has it: the theoretical arrival time and nothing else.
#[derive(Default)]
struct Model {
    now: u64,
    times: HashMap<u64, u64>,
}

impl Model {
    fn admits(&mut self, caller: u64, rate: &Rate, cost: u32) -> bool {
        let period = rate.period.as_nanos() as u64;
        let window = period * u64::from(rate.burst.get());
        let time = self.times.get(&caller).copied().unwrap_or_default().max(self.now).min(self.now + window);
        let after = time + period * u64::from(cost.min(rate.burst.get()));
        let admitted = after <= self.now + window;
        self.times.insert(caller, if admitted { after } else { time });
        admitted
    }
}

const CALLERS: u64 = 3_000;
const OVERRIDDEN: u64 = 20;

fn any_rate(dice: &mut Dice) -> Rate {
    rate(1 + dice.below(200), 1 + dice.below(60) as u32)
}

#[test]
fn agrees_with_the_model_through_floods_and_reloads() {
    let seed = option_env!("GTP_SEED").and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64);
    eprintln!("GTP_SEED={seed}");
    let mut dice = Dice(seed);
    let clock = FakeRelativeClock::default();
    let mut settings = Settings {
        overrides: (0..OVERRIDDEN).map(|_| Some(any_rate(&mut dice))).collect(),
        ..Settings::new(rate(50, 40), rate(20, 20), 40_000)
    };
    let mut limits = Limits::with_clock(&settings, clock.clone());
    let mut model = Model::default();
    for caller in 0..CALLERS {
        limits.accept(credential(key(caller)), key(caller));
    }
    let mut stranger = 1 << 32;
    let (mut admitted, mut refused) = (0u64, 0u64);
    for turn in 0..200_000u64 {
        match dice.below(1000) {
            // A flood of strangers: invented tokens, cookies, and addresses.
            0 => {
                for _ in 0..dice.below(2_000) {
                    stranger += 1;
                    let budgets = [credential(key(stranger)), unproven(key(stranger)), Budget::Client(key(stranger))];
                    let _ = ask(&limits, budgets[stranger as usize % 3], stranger);
                }
            }
            1 => {
                let place = dice.below(OVERRIDDEN) as usize;
                settings.overrides[place] = Some(any_rate(&mut dice));
                limits = limits.reloaded(&settings);
            }
            2..200 => {
                let gap = dice.below(2_000_000);
                clock.advance(Duration::from_nanos(gap));
                model.now += gap;
            }
            _ => {
                // A few are noisy.
                let caller = if dice.below(3) == 0 { dice.below(CALLERS) } else { dice.below(60) };
                let cost = if dice.below(5) == 0 { 1 + dice.below(9) as u32 } else { 1 };
                let own = settings.overrides.get(caller as usize).copied().flatten();
                let from = match own {
                    Some(_) => Budget::Caller(key(caller), caller as usize),
                    None => credential(key(caller)),
                };
                let ask = Ask { from, cost: NonZeroU32::new(cost).unwrap() };
                let decision = limits.check(&ask, || key(u64::MAX)).decision.unwrap();
                let expected = model.admits(caller, &own.unwrap_or(settings.per_token.rate), cost);
                assert_eq!(decision.is_admitted(), expected, "turn {turn} of caller {caller}, GTP_SEED={seed}");
                if expected { admitted += 1 } else { refused += 1 }
            }
        }
    }
    assert!(admitted > 10_000 && refused > 10_000, "{admitted} admitted, {refused} refused: nothing is tested");
    assert!(limits.tracked() <= 40_000, "{}", limits.tracked());
}
