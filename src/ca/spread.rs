//! Work on many things, spread over all cores and off the threads that serve everybody.

use super::CaError;

/// So many things that take some 50 µs each are done at once where they are: handing them over takes longer.
pub(super) const FEW: usize = 24;

/// Does the same to each thing, in whatever order; the answers stand in the order of the things. `few` or less are done
/// at once.
///
/// # Errors
/// `CaError::Interrupted` where the work panics, or the process is ending.
pub(super) async fn spread<T, R, F>(few: usize, things: Vec<T>, work: F) -> Result<Vec<R>, CaError>
where
    T: Send + 'static,
    R: Send + 'static,
    F: Fn(T) -> R + Clone + Send + 'static,
{
    if things.len() <= few {
        return Ok(things.into_iter().map(work).collect());
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = things.len().div_ceil(cores);
    let mut done = Vec::with_capacity(things.len());
    let (mut things, mut parts) = (things.into_iter(), Vec::with_capacity(cores));
    while things.len() > 0 {
        let (part, work) = (things.by_ref().take(share).collect::<Vec<_>>(), work.clone());
        parts.push(tokio::task::spawn_blocking(move || part.into_iter().map(work).collect::<Vec<_>>()));
    }
    for part in parts {
        done.extend(part.await.map_err(|_| CaError::Interrupted)?);
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_stand_in_the_order_of_the_things() {
        for count in [0, 1, 2, 3, 7, 100] {
            let things: Vec<usize> = (0..count).collect();
            let doubled = spread(2, things.clone(), |thing| thing * 2).await.unwrap();
            assert_eq!(doubled, things.iter().map(|thing| thing * 2).collect::<Vec<_>>());
        }
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let outcome = spread(1, vec![1, 2, 3, 4], |thing| assert!(thing != 3)).await;
        assert!(matches!(outcome, Err(CaError::Interrupted)));
    }
}
