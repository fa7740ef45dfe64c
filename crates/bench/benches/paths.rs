//! The hottest paths, one call at a time: `cargo bench -p quintet-bench`. For a change to one of them; what decides between
//! engines is `cargo xtask bench`.

use criterion::{Criterion, criterion_group, criterion_main};
use quintet_bench::paths::PATHS;

fn paths(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("paths");
    for path in &PATHS {
        let mut call = path.build().expect("the path can be built");
        group.bench_function(path.name, |bencher| {
            bencher.iter(|| call().expect("the path works"))
        });
    }
    group.finish();
}

criterion_group!(benches, paths);
criterion_main!(benches);
