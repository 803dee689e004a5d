//! How memory of the engine is cleared: its pages go back to the kernel, which has zeros for whoever reads them.
//!
//! llama.cpp writes zeros over a whole cache when it makes it (`llama_kv_cache`). For the 32,768 tokens of the default
//! model that is 940 MB, which took more than half of its loading and stayed taken, however short the conversations.
//! The linker puts this function in the place of llama.cpp's (`build.rs`).

#![expect(unsafe_code, reason = "the engine's memory is plain memory")]

use std::ffi::c_void;

use llama_cpp_sys_2::{
    ggml_backend_buffer_get_base, ggml_backend_buffer_get_size, ggml_backend_buffer_get_type, ggml_backend_buffer_t,
    ggml_backend_cpu_buffer_type,
};

// SAFETY: this is the name that the linker gives to what `ggml-backend.h` declares.
unsafe extern "C" {
    fn __real_ggml_backend_buffer_clear(buffer: ggml_backend_buffer_t, value: u8);
}

/// Sets every byte of a buffer.
// SAFETY: no other function has this name, and it is declared as the one that it stands for.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_ggml_backend_buffer_clear(buffer: ggml_backend_buffer_t, value: u8) {
    // SAFETY: the caller has a buffer that nobody else uses now. Those of the plain type, unlike mapped files, are private
    // memory of their own from `posix_memalign`, of the size that they tell.
    unsafe {
        let is_plain = ggml_backend_buffer_get_type(buffer) == ggml_backend_cpu_buffer_type();
        let is_zero =
            value == 0 && is_plain && zero(ggml_backend_buffer_get_base(buffer), ggml_backend_buffer_get_size(buffer));
        if !is_zero {
            __real_ggml_backend_buffer_clear(buffer, value);
        }
    }
}

/// Makes memory zero; false, and nothing is done, where no page of it can be given back.
///
/// # Safety
/// It is there, is private and anonymous, and nobody else uses it now.
unsafe fn zero(start: *mut c_void, length: usize) -> bool {
    // SAFETY: it takes nothing but a name.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let Ok(page @ 1..) = usize::try_from(page) else { return false };
    let start = start.cast::<u8>();
    let before = start.align_offset(page);
    let Some(pages) = length.checked_sub(before).map(|rest| rest / page * page).filter(|pages| *pages > 0) else {
        return false;
    };
    // SAFETY: all of it lies within the memory, which is the caller's.
    unsafe {
        // Private anonymous pages that were given back read as zeros: madvise(2). Locked ones are kept.
        if libc::madvise(start.add(before).cast(), pages, libc::MADV_DONTNEED) != 0 {
            return false;
        }
        start.write_bytes(0, before);
        start.add(before + pages).write_bytes(0, length - before - pages);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_is_zero_and_nothing_else() {
        let mut memory = vec![1_u8; 1 << 20];
        // Each has a whole page, also where pages have 64 KiB.
        for (start, end) in [(1, memory.len() - 1), (5000, 200_000), (65_536, 262_144)] {
            memory.fill(1);
            let part = &mut memory[start..end];
            // SAFETY: it is a part of a vector, which is borrowed here.
            assert!(unsafe { zero(part.as_mut_ptr().cast(), part.len()) });
            assert!(part.iter().all(|byte| *byte == 0));
            assert!(memory[..start].iter().chain(&memory[end..]).all(|byte| *byte == 1));
        }
    }

    #[test]
    fn what_has_no_whole_page_is_left_alone() {
        let mut memory = vec![1_u8; 4000];
        for length in [0, 1, memory.len()] {
            // SAFETY: as above.
            assert!(!unsafe { zero(memory.as_mut_ptr().cast(), length) });
        }
        assert!(memory.iter().all(|byte| *byte == 1));
    }
}
