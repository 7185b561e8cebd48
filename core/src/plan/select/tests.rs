use super::*;
use crate::graph::Param;
use crate::plan::{Cooperative, StorageId, View};

fn chosen(
    weight: [usize; 4],
    geometry: impl Fn(&mut Conv2d),
    size: usize,
    target: &Target,
) -> Algorithm {
    let mut graph = Graph::new();
    let values = vec![0.0; weight.iter().product()];
    let id = graph.add_param(Param::from_values("w", weight.to_vec(), &values));
    let mut conv = Conv2d::same(id, weight[2]);
    geometry(&mut conv);
    let input = Shape::new(1, weight[1] * conv.groups, size, size);
    let output = input.with_channels(weight[0]);
    algorithm(&conv, Upsample::None, input, output, target, &graph)
}

#[test]
fn each_kind_of_convolution_has_its_kernel() {
    let gpu = Target::webgpu_defaults();
    for target in [Target::cpu(), gpu] {
        let is = |w, f: &dyn Fn(&mut Conv2d), size| chosen(w, f, size, &target);
        assert_eq!(is([64, 64, 3, 3], &|_| (), 256), Algorithm::Winograd);
        assert_eq!(is([64, 64, 3, 3], &|_| (), 4), Algorithm::Product);
        assert_eq!(is([64, 64, 3, 3], &|c| c.stride = 2, 32), Algorithm::Product);
        let bare = |c: &mut Conv2d| c.padding = Padding::all(0);
        assert_eq!(is([64, 64, 3, 3], &bare, 256), Algorithm::Winograd);
        assert_eq!(is([64, 64, 5, 5], &|_| (), 32), Algorithm::Product);
        assert_eq!(is([64, 64, 1, 1], &|_| (), 32), Algorithm::Product);
        let few =
            if target.backend == Backend::Cpu { Algorithm::Product } else { Algorithm::Direct };
        assert_eq!(is([3, 64, 1, 1], &|_| (), 32), few);
        assert_eq!(is([64, 1, 3, 3], &|c| c.groups = 64, 32), Algorithm::Depthwise);
        assert_eq!(is([64, 2, 1, 1], &|c| c.groups = 32, 32), few);
    }
}

fn target(workgroup_memory: usize) -> Target {
    Target { workgroup_memory, max_invocations: 1024, ..Target::webgpu_defaults() }
}

/// A 1×1 convolution as a product.
fn product([rows, columns, inputs, batch]: [usize; 4]) -> Product {
    let mut graph = Graph::new();
    let values = vec![0.0; rows * inputs];
    let weight = graph.add_param(Param::from_values("w", vec![rows, inputs, 1, 1], &values));
    let view = |channels| {
        let shape = Shape::new(batch, channels, 1, columns);
        View {
            storage: StorageId(0),
            offset: 0,
            batch_stride: shape.sample(),
            shape,
            blocked: false,
        }
    };
    let conv = Conv2d::same(weight, 1);
    let step = Step::new("step", conv, Variant::Pointwise, vec![view(inputs)], view(rows));
    products(&step, &graph).unwrap()[0]
}

/// Rows, columns, depth and splits of the tile that is taken.
fn tile(lanes: usize, memory: usize, sizes: [usize; 4]) -> [usize; 4] {
    let matrices = Cooperative { side: 16, lanes, narrowest: 32 };
    let family = CooperativeTile::family(matrices, &product(sizes), &target(memory));
    let CooperativeTile { rows, columns, depth, splits, .. } = family[0];
    [rows, columns, depth, splits]
}

#[test]
fn many_pixels_get_large_tiles() {
    assert_eq!(tile(32, 48 << 10, [512, 64 * 64, 512, 1]), [128, 128, 32, 1]);
    assert_eq!(tile(32, 32 << 10, [512, 64 * 64, 512, 1]), [128, 128, 16, 1]);
    assert_eq!(tile(32, 48 << 10, [64, 512 * 512, 64, 1]), [64, 128, 32, 1]);
    assert_eq!(tile(32, 48 << 10, [512, 32 * 32, 3, 1]), [64, 64, 32, 1]);
    assert_eq!(tile(32, 48 << 10, [512, 16, 32, 1]), [32, 32, 32, 1]);
    assert_eq!(tile(32, 48 << 10, [512, 16, 32, 64]), [32, 32, 32, 1]);
    assert_eq!(tile(64, 64 << 10, [512, 64 * 64, 512, 1]), [128, 128, 32, 1]);
}

#[test]
fn few_tiles_share_depths_whatever_the_batch() {
    assert_eq!(tile(32, 48 << 10, [512, 32 * 32, 512, 1]), [32, 32, 128, 4]);
    assert_eq!(tile(32, 48 << 10, [512, 32 * 32, 512, 64]), [32, 32, 128, 4]);
    assert_eq!(tile(32, 32 << 10, [512, 32 * 32, 512, 1]), [32, 32, 64, 4]);
    assert_eq!(tile(32, 48 << 10, [64, 64 * 64, 64, 1]), [32, 32, 64, 4]);
    // Very few are smaller.
    assert_eq!(tile(64, 48 << 10, [224, 16 * 16, 192, 1]), [16, 16, 128, 8]);
    assert_eq!(tile(32, 48 << 10, [96, 4 * 4, 40, 8]), [16, 16, 64, 4]);
}

#[test]
fn small_devices_get_small_tiles_or_none() {
    assert_eq!(tile(32, 16 << 10, [512, 64 * 64, 512, 1]), [64, 64, 16, 1]);
    assert_eq!(tile(32, 16 << 10, [512, 16, 512, 1]), [32, 32, 32, 1]);
    let matrices = Cooperative { side: 16, lanes: 32, narrowest: 32 };
    let none =
        CooperativeTile::family(matrices, &product([512, 64 * 64, 512, 1]), &target(1 << 10));
    assert_eq!(none, []);
}

/// The subgroups of drivers that run on the CPU are narrow and hold small parts.
#[test]
fn narrow_subgroups_hold_small_parts() {
    for lanes in [8, 16] {
        let matrices = Cooperative { side: 8, lanes, narrowest: lanes };
        let tiles =
            CooperativeTile::family(matrices, &product([512, 64 * 64, 32, 1]), &target(48 << 10));
        assert!(!tiles.is_empty() && tiles.iter().all(|tile| tile.part == [16, 16]));
    }
}

/// A 3×3 convolution of `channels` at `size`, as products.
fn square([outputs, inputs, size, stride]: [usize; 4]) -> Product {
    let mut graph = Graph::new();
    let values = vec![0.0; outputs * inputs * 9];
    let weight = graph.add_param(Param::from_values("w", vec![outputs, inputs, 3, 3], &values));
    let y = Shape::new(1, outputs, size, size);
    let conv = Conv2d { stride, ..Conv2d::same(weight, 3) };
    Product::of(&conv, [outputs, inputs, 3, 3], Upsample::None, y)
}

/// The tiles of a patch that are taken on a device like NVIDIA's, and whether they keep it busy.
fn patch(sizes: [usize; 4]) -> Option<([usize; 2], bool)> {
    let matrices = Cooperative { side: 16, lanes: 32, narrowest: 32 };
    let product = square(sizes);
    let family = PatchTile::family(matrices, &product, &target(48 << 10));
    let first = family.first()?;
    Some(([first.rows, first.height], PatchTile::keep_busy(&family, &product)))
}

#[test]
fn patches_are_as_large_as_keeps_a_device_busy() {
    assert_eq!(patch([512, 512, 64, 1]), Some(([128, 8], true)));
    assert_eq!(patch([256, 256, 128, 1]), Some(([128, 16], true)));
    assert_eq!(patch([64, 64, 512, 1]), Some(([64, 16], true)));
    assert_eq!(patch([32, 32, 512, 1]), Some(([32, 16], true)));
    assert_eq!(patch([512, 512, 32, 1]), Some(([32, 8], true)));
    // Few tiles share their depth instead.
    assert_eq!(patch([256, 256, 16, 1]).map(|(_, busy)| busy), Some(false));
    // Rows that are no fragment, strides, and hardly any channels are others' business.
    assert_eq!(patch([512, 512, 8, 1]), None);
    assert_eq!(patch([512, 512, 64, 2]), None);
    assert_eq!(patch([64, 3, 512, 1]), None);
}

/// What the kernel takes for granted.
#[test]
fn patches_fit_their_devices() {
    for (matrices, memory) in [
        (Cooperative { side: 16, lanes: 32, narrowest: 32 }, 48),
        (Cooperative { side: 16, lanes: 64, narrowest: 32 }, 64),
        (Cooperative { side: 8, lanes: 32, narrowest: 32 }, 32),
        (Cooperative { side: 8, lanes: 8, narrowest: 8 }, 32),
        (Cooperative { side: 16, lanes: 32, narrowest: 32 }, 16),
    ] {
        let family = PatchTile::family(matrices, &square([200, 70, 40, 1]), &target(memory << 10));
        assert!(!family.is_empty(), "{matrices:?}");
        for tile in family {
            assert!(tile.threads() <= 1024 && tile.slots() * tile.narrowest >= tile.threads());
            assert!(tile.part.iter().all(|part| part.is_multiple_of(tile.side)), "{tile:?}");
            assert!((tile.part[0] / tile.side).is_multiple_of(tile.round), "{tile:?}");
            assert!(tile.part[1].is_multiple_of(PatchTile::COLUMNS), "{tile:?}");
        }
    }
}
