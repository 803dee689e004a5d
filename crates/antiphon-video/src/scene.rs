//! Frames that look alike, and which of them are worth a closer look.

use std::ops::RangeInclusive;

use crate::Moments;
use crate::likeness::Likeness;

/// What was seen of a video at a glance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    pub moments: Moments,
    /// How many of the moments were decoded; the last ones may be missing.
    pub frames: usize,
    /// In the order of their first frames.
    pub scenes: Vec<Scene>,
    /// Whether decoding was ended for its time, its memory or its fault.
    pub is_cut: bool,
}

/// Frames that look alike, wherever they stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scene {
    /// The numbers of the moments at which it is shown, from first to last, in their order.
    pub shown: Vec<RangeInclusive<usize>>,
}

impl Scene {
    /// The number of its first frame.
    pub fn first(&self) -> usize {
        self.shown.first().map_or(0, |range| *range.start())
    }
}

impl View {
    pub(crate) fn new(moments: Moments, frames: &[Likeness], is_cut: bool) -> Self {
        let mut scenes: Vec<(&Likeness, Scene)> = Vec::new();
        for (number, frame) in frames.iter().enumerate() {
            match scenes.iter_mut().find(|(known, _)| known.is_like(frame)) {
                None => scenes.push((frame, Scene { shown: vec![number..=number] })),
                Some((_, scene)) => match scene.shown.last_mut() {
                    Some(range) if range.end() + 1 == number => *range = *range.start()..=number,
                    Some(_) | None => scene.shown.push(number..=number),
                },
            }
        }
        let scenes = scenes.into_iter().map(|(_, scene)| scene).collect();
        Self { moments, frames: frames.len(), scenes, is_cut }
    }

    /// At most so many of the scenes, spread evenly over all of them.
    pub fn chosen(&self, most: usize) -> Vec<&Scene> {
        let count = self.scenes.len();
        let kept = count.min(most);
        (0..kept).filter_map(|number| self.scenes.get(number * count / kept)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::likeness::THUMBNAIL;

    /// What is seen of frames that are each of one colour.
    fn view(colours: &[u8]) -> View {
        let frames: Vec<_> = colours.iter().map(|&colour| Likeness::of(&[colour; THUMBNAIL])).collect();
        View::new(Moments::spread(Duration::ZERO, Duration::from_secs(9), None), &frames, false)
    }

    #[test]
    fn frames_that_look_alike_are_one_scene_also_when_it_comes_again() {
        let scenes = view(&[0, 0, 250, 0, 120, 120]).scenes;
        let shown: Vec<_> = scenes.iter().map(|scene| scene.shown.clone()).collect();
        assert_eq!(shown, [vec![0..=1, 3..=3], vec![2..=2], vec![4..=5]]);
        assert_eq!(scenes.iter().map(Scene::first).collect::<Vec<_>>(), [0, 2, 4]);
        assert_eq!(view(&[]).scenes, []);
    }

    #[test]
    fn of_many_scenes_some_are_chosen_from_the_first_to_the_last_part() {
        let many = view(&[0, 50, 100, 150, 200]);
        let firsts = |most| many.chosen(most).into_iter().map(Scene::first).collect::<Vec<_>>();
        assert_eq!(firsts(8), [0, 1, 2, 3, 4]);
        assert_eq!(firsts(2), [0, 2]);
        assert_eq!(firsts(0), []);
    }
}
