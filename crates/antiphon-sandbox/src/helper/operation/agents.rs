//! What `.agents` says to agents, read and cut to what they can be told of it.

use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::FileType;

use super::below::{self, Below};
use super::walk::walk;
use super::{frontmatter, reading};
use crate::agent_files::{AgentFiles, Skill};

const INSTRUCTION: &str = ".agents/AGENTS.md";
const SKILLS: &str = ".agents/skills";
/// Of one file.
const FILE_BYTES: usize = 32 << 10;
const MOST_SKILLS: usize = 64;
const NAME_CHARACTERS: usize = 64;
const DESCRIPTION_CHARACTERS: usize = 1000;

pub(super) fn read(top: &OwnedFd) -> AgentFiles {
    let mut files = AgentFiles::default();
    match text(top, INSTRUCTION) {
        Ok(None) => {}
        Ok(Some((text, is_cut))) => {
            let text: String = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
            files.instruction = Some(text.trim().to_owned()).filter(|text| !text.is_empty());
            files.is_cut = is_cut;
        }
        Err(why) => files.left_out.push(why),
    }
    match skill_folders(top) {
        Ok((folders, has_more)) => {
            for folder in folders {
                match skill(top, &folder) {
                    Ok(skill) => files.skills.extend(skill),
                    Err(why) => files.left_out.push(why),
                }
            }
            if has_more {
                files.left_out.push(format!("`{SKILLS}` has more than {MOST_SKILLS} folders: the others"));
            }
        }
        Err(why) => files.left_out.push(why),
    }
    files
}

/// The names of the first folders of skills, and whether there are more.
fn skill_folders(top: &OwnedFd) -> Result<(Vec<String>, bool), String> {
    let start = Below::read(SKILLS, Path::new("/"))?;
    if below::look_for(top, &start, FileType::Directory)?.is_none() {
        return Ok((Vec::new(), false));
    }
    let (mut folders, mut has_more) = (Vec::new(), false);
    let unseen = walk(top, &start, 1, |entry| {
        // A name that cannot be said cannot be read either.
        if let Some(name) = entry.name.to_str().ok().filter(|_| entry.kind == FileType::Directory) {
            has_more = folders.len() == MOST_SKILLS;
            if !has_more {
                folders.push(name.to_owned());
            }
        }
        !has_more
    })?;
    if unseen.folders > 0 {
        return Err(format!("`{SKILLS}` is closed: its mode forbids to list it"));
    }
    Ok((folders, has_more || unseen.has_more))
}

/// The skill of a folder; none when it has no such file.
fn skill(top: &OwnedFd, folder: &str) -> Result<Option<Skill>, String> {
    let path = format!("{SKILLS}/{folder}/SKILL.md");
    let Some((text, is_cut)) = text(top, &path)? else { return Ok(None) };
    if is_cut {
        return Err(format!("`{path}` has more than {FILE_BYTES} bytes"));
    }
    let head = frontmatter::read(&text).map_err(|why| format!("`{path}`: {}", line(&why, DESCRIPTION_CHARACTERS)))?;
    let name = head.name.map(|name| line(&name, NAME_CHARACTERS)).filter(|name| !name.is_empty());
    let description = head.description.map(|text| line(&text, DESCRIPTION_CHARACTERS));
    let Some(description) = description.filter(|text| !text.is_empty()) else {
        return Err(format!("`{path}` has no `description`"));
    };
    Ok(Some(Skill { name: name.unwrap_or_else(|| line(folder, NAME_CHARACTERS)), description, path }))
}

/// The beginning of a text file, and whether it goes on. None when nothing is there.
fn text(top: &OwnedFd, path: &str) -> Result<Option<(String, bool)>, String> {
    let below = Below::read(path, Path::new("/"))?;
    if below::look_for(top, &below, FileType::RegularFile)?.is_none() {
        return Ok(None);
    }
    let (file, _) = below::file(top, &below)?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("{below} cannot be read: {error}"))?;
    if reading::is_binary(&bytes) {
        return Err(format!("{below} is no text"));
    }
    let is_cut = bytes.len() > FILE_BYTES;
    bytes.truncate(FILE_BYTES);
    if is_cut {
        bytes.truncate(bytes.len() - crate::output::cut_character(&bytes));
    }
    Ok(Some((String::from_utf8_lossy(&bytes).into_owned(), is_cut)))
}

/// A text on one line; what is cut says so.
fn line(text: &str, most: usize) -> String {
    let words: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(most) {
        None => line,
        Some((end, _)) => format!("{}… (cut)", &line[..end]),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use pretty_assertions::assert_eq;
    use proptest::prelude::*;
    use rustix::fs::Mode;

    use super::*;

    fn workspace(files: &[(&str, &str)]) -> (tempfile::TempDir, OwnedFd) {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let top = fs::File::open(folder.path()).unwrap().into();
        (folder, top)
    }

    fn head(name: &str, description: &str) -> String {
        format!("---\nname: {name}\ndescription: {description}\n---\nThe body of {name}.\n")
    }

    #[test]
    fn an_instruction_and_skills_are_read() {
        assert_eq!(read(&workspace(&[("a", "x")]).1), AgentFiles::default());
        assert_eq!(read(&workspace(&[(".agents/AGENTS.md", " \n")]).1), AgentFiles::default());
        let (_folder, top) = workspace(&[
            (".agents/AGENTS.md", "Be\u{1b}[2J brief.\r\nCount\tbirds.\n"),
            (".agents/skills/b/SKILL.md", &head("bird-counting", "Counts birds.")),
            (".agents/skills/a/SKILL.md", "---\ndescription: >\n  First\n  of all.\n---\n"),
            (".agents/skills/c/notes.md", "no skill"),
            (".agents/skills/README.md", "no skill"),
        ]);
        let skill = |name: &str, description: &str, folder: &str| Skill {
            name: name.to_owned(),
            description: description.to_owned(),
            path: format!(".agents/skills/{folder}/SKILL.md"),
        };
        assert_eq!(
            read(&top),
            AgentFiles {
                instruction: Some("Be[2J brief.\nCount\tbirds.".to_owned()),
                is_cut: false,
                skills: vec![skill("a", "First of all.", "a"), skill("bird-counting", "Counts birds.", "b")],
                left_out: Vec::new(),
            }
        );
    }

    #[test]
    fn nothing_is_followed_waited_for_or_believed() {
        let (folder, top) = workspace(&[
            (".agents/skills/none/SKILL.md", "No head at all."),
            (".agents/skills/open/SKILL.md", "---\nname: x\ndescription: never closed\n"),
            (".agents/skills/bare/SKILL.md", "---\nname: bare\n---\n"),
            (".agents/skills/binary/SKILL.md", "---\0"),
        ]);
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("SKILL.md"), head("outside", "of the host")).unwrap();
        symlink(outside.path(), folder.path().join(".agents/skills/link")).unwrap();
        fs::create_dir(folder.path().join(".agents/skills/within")).unwrap();
        symlink(outside.path().join("SKILL.md"), folder.path().join(".agents/skills/within/SKILL.md")).unwrap();
        rustix::fs::mknodat(&top, ".agents/AGENTS.md", FileType::Fifo, Mode::RUSR, 0).unwrap();
        let found = read(&top);
        assert_eq!((found.instruction, found.skills), (None, Vec::new()));
        assert_eq!(
            found.left_out,
            [
                "`.agents/AGENTS.md` is a queue, not a file",
                "`.agents/skills/bare/SKILL.md` has no `description`",
                "`.agents/skills/binary/SKILL.md` is no text",
                "`.agents/skills/none/SKILL.md`: it does not begin with a line `---`",
                "`.agents/skills/open/SKILL.md`: its head is not closed by a line `---`",
                "`.agents/skills/within/SKILL.md` is a link, and links are not followed",
            ]
        );
        let (folder, top) = workspace(&[]);
        symlink(outside.path(), folder.path().join(".agents")).unwrap();
        let found = read(&top);
        assert_eq!((found.instruction, found.skills, found.left_out.len()), (None, Vec::new(), 2));
        assert!(found.left_out.iter().all(|why| why.contains("links are not followed")), "{:?}", found.left_out);
        assert_eq!(read(&workspace(&[(".agents", "a file")]).1).left_out.len(), 2);
    }

    #[test]
    fn what_is_too_long_or_too_many_is_cut_and_told() {
        let files: Vec<_> = (0..66).map(|at| (format!(".agents/skills/{at:02}/SKILL.md"), head("x", "y"))).collect();
        let mut files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let long = "é".repeat(FILE_BYTES);
        let (large, wide) = (format!("{}{long}", head("x", "y")), head("x", &"w".repeat(5000)));
        files.push((".agents/AGENTS.md", &long));
        files[3].1 = &large;
        files[4].1 = &wide;
        let found = read(&workspace(&files).1);
        assert_eq!((found.instruction.unwrap(), found.is_cut), ("é".repeat(FILE_BYTES / 2), true));
        assert_eq!(found.skills.len(), 63);
        assert_eq!(found.skills[3].description, format!("{}… (cut)", "w".repeat(1000)));
        let skills = "`.agents/skills` has more than 64 folders: the others";
        assert_eq!(found.left_out, ["`.agents/skills/03/SKILL.md` has more than 32768 bytes", skills]);
    }

    proptest! {
        /// Whatever a skill says of itself, it says it on one line, within its bounds.
        #[test]
        fn what_is_told_of_a_skill_is_one_line(body in "(---\n)?((name|description|x): ?[^\0]{0,40}\n){0,4}(---\n)?[^\0]{0,20}") {
            let (_folder, top) = workspace(&[(".agents/skills/s/SKILL.md", &body)]);
            let AgentFiles { skills, left_out, .. } = read(&top);
            prop_assert_eq!(skills.len() + left_out.len(), 1);
            let told = skills.iter().flat_map(|skill| [&skill.name, &skill.description]).chain(&left_out);
            for text in told {
                prop_assert!(!text.chars().any(char::is_control) && !text.is_empty(), "{text:?}");
            }
        }
    }
}
