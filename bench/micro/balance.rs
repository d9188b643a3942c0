//! The price of one choice, for each policy and pool size.

use std::hint::black_box;

use corelane::balance::{Balancer, PolicyKind, Servers, hash_key};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

struct Pool {
    active: Vec<u32>,
}

impl Servers for Pool {
    fn len(&self) -> usize {
        self.active.len()
    }

    fn weight(&self, i: usize) -> u32 {
        1 + i as u32 % 3
    }

    fn active(&self, i: usize) -> u32 {
        self.active[i]
    }

    fn usable(&self, i: usize) -> bool {
        self.active[i] < 1_000
    }
}

fn choose(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("choose");
    for kind in PolicyKind::ALL {
        for size in [3usize, 30, 300] {
            let pool = Pool { active: (0..size as u32).map(|i| i * 7 % 5).collect() };
            let names: Vec<(String, u32)> =
                (0..size).map(|i| (format!("10.0.0.{i}:3000"), pool.weight(i))).collect();
            let mut balancer = Balancer::new(kind, &names, 1);
            let mut key = 0u64;
            group.bench_function(BenchmarkId::new(kind.name(), size), |bencher| {
                bencher.iter(|| {
                    key = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
                    balancer.choose(black_box(&pool), key)
                });
            });
        }
    }
    group.finish();
}

fn key(criterion: &mut Criterion) {
    criterion.bench_function("hash_key/ipv4", |bencher| {
        bencher.iter(|| hash_key(black_box(&[10, 182, 205, 169])));
    });
}

criterion_group!(benches, choose, key);
criterion_main!(benches);
