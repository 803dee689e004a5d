//! Which part of a page is the page, and what of it is furniture.
//!
//! Text is weighed: what stands in paragraphs, lists and tables in full, loose text half, links
//! nothing. The main part is what the page marks as such, if most of the weight is there, else
//! the smallest element that holds nearly all of it.

use super::tree::{Content, Id, ROOT, Tree, Visit};

const LONGEST_TITLE: usize = 300;

/// Never text for a reader.
const NO_TEXT: [&str; 24] = [
    "annotation",
    "audio",
    "button",
    "canvas",
    "datalist",
    "dialog",
    "embed",
    "head",
    "iframe",
    "input",
    "link",
    "map",
    "meta",
    "noframes",
    "noscript",
    "object",
    "script",
    "select",
    "source",
    "style",
    "svg",
    "template",
    "textarea",
    "video",
];

const FURNITURE: [&str; 4] = ["aside", "footer", "menu", "nav"];

const FURNITURE_ROLES: [&str; 9] =
    ["alert", "banner", "complementary", "contentinfo", "dialog", "menu", "menubar", "navigation", "search"];

/// Words of classes and ids.
const FURNITURE_WORDS: [&str; 42] = [
    "ad",
    "ads",
    "advert",
    "advertisement",
    "breadcrumb",
    "breadcrumbs",
    "byline",
    "comments",
    "consent",
    "cookie",
    "cookies",
    "disqus",
    "editsection",
    "footer",
    "gdpr",
    "menu",
    "modal",
    "nav",
    "navbar",
    "navbox",
    "navigation",
    "newsletter",
    "noprint",
    "outbrain",
    "pager",
    "pagination",
    "popup",
    "promo",
    "recommended",
    "related",
    "share",
    "sharing",
    "sidebar",
    "signup",
    "skip",
    "social",
    "sponsor",
    "sponsored",
    "subscribe",
    "taboola",
    "toolbar",
    "tooltip",
];

const PARAGRAPHS: [&str; 16] = [
    "blockquote",
    "caption",
    "dd",
    "dt",
    "figcaption",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "li",
    "p",
    "pre",
    "td",
    "th",
];

const LISTS: [&str; 3] = ["dl", "ol", "ul"];

pub(crate) struct MainPart {
    pub(crate) root: Id,
    /// By node: whether it is left out with all that is in it.
    pub(crate) left_out: Vec<bool>,
}

pub(crate) fn main_part(tree: &Tree) -> MainPart {
    let mut left_out: Vec<bool> = (0..tree.nodes.len()).map(|id| is_never_shown(tree, id)).collect();
    let all = weigh(tree, &left_out);
    let never_shown = left_out.clone();
    for id in 0..tree.nodes.len() {
        // What holds much of the text is not furniture, whatever it is called.
        left_out[id] |= is_furniture(tree, id) && all[id] * 5 <= all[ROOT] * 2;
    }
    let weights = weigh(tree, &left_out);
    if weights[ROOT] == 0 {
        return MainPart { root: ROOT, left_out: never_shown };
    }
    let marked = marked_part(tree, &weights, &left_out);
    MainPart { root: marked.unwrap_or_else(|| heaviest(tree, &weights, &left_out)), left_out }
}

/// The page's name for itself.
pub(crate) fn title(tree: &Tree) -> Option<String> {
    let elements = |name: &'static str| (0..tree.nodes.len()).filter(move |id| tree.name(*id) == name);
    let of_card = elements("meta")
        .filter(|id| tree.attribute(*id, "property").is_some_and(|property| property.eq_ignore_ascii_case("og:title")))
        .filter_map(|id| tree.attribute(id, "content").map(plain));
    let is_of_picture = |id: Id| tree.nodes[id].parent.is_some_and(|parent| tree.name(parent) == "svg");
    let of_head = elements("title").filter(|id| !is_of_picture(*id)).map(|id| plain(&text(tree, id)));
    let of_heading = elements("h1").map(|id| plain(&text(tree, id)));
    of_card.chain(of_head).chain(of_heading).find(|title| !title.is_empty())
}

fn text(tree: &Tree, id: Id) -> String {
    let mut text = String::new();
    tree.walk(
        id,
        |_| true,
        |visit| {
            if let Visit::Enter(id) = visit
                && let Content::Text(piece) = &tree.nodes[id].content
                && text.len() < LONGEST_TITLE * 8
            {
                text.extend(piece.chars().take(LONGEST_TITLE * 2));
            }
        },
    );
    text
}

fn plain(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|character| !character.is_control()).take(LONGEST_TITLE).collect()
}

fn is_never_shown(tree: &Tree, id: Id) -> bool {
    let Content::Element { name, attributes } = &tree.nodes[id].content else { return false };
    if NO_TEXT.contains(&&**name) {
        return true;
    }
    attributes.iter().any(|(name, value)| match &**name {
        "hidden" => true,
        "style" => {
            let style: String = value.chars().filter(|character| !character.is_whitespace()).collect();
            let style = style.to_ascii_lowercase();
            style.contains("display:none") || style.contains("visibility:hidden")
        }
        _ => false,
    })
}

fn is_furniture(tree: &Tree, id: Id) -> bool {
    let name = tree.name(id);
    if name.is_empty() || matches!(name, "html" | "body" | "main" | "article" | "h1" | "td" | "th" | "p" | "pre") {
        return false;
    }
    if FURNITURE.contains(&name) || (name == "header" && !is_within_article(tree, id)) {
        return true;
    }
    if tree.attribute(id, "aria-hidden") == Some("true")
        || tree.attribute(id, "role").is_some_and(|role| FURNITURE_ROLES.contains(&role))
    {
        return true;
    }
    ["class", "id"].iter().filter_map(|name| tree.attribute(id, name)).any(|value| {
        let words = value.split(|character: char| !character.is_ascii_alphanumeric());
        words.map(str::to_ascii_lowercase).any(|word| FURNITURE_WORDS.contains(&&*word))
    })
}

fn is_within_article(tree: &Tree, id: Id) -> bool {
    let ancestors = std::iter::successors(tree.nodes[id].parent, |parent| tree.nodes[*parent].parent);
    ancestors.into_iter().any(|ancestor| matches!(tree.name(ancestor), "article" | "main"))
}

/// The weight of each node's text.
fn weigh(tree: &Tree, left_out: &[bool]) -> Vec<usize> {
    let mut weights = vec![0; tree.nodes.len()];
    let (mut links, mut paragraphs) = (0_usize, 0_usize);
    tree.walk(
        ROOT,
        |id| !left_out[id],
        |visit| match visit {
            Visit::Enter(id) => {
                let name = tree.name(id);
                links += usize::from(name == "a");
                paragraphs += usize::from(PARAGRAPHS.contains(&name));
                if let Content::Text(text) = &tree.nodes[id].content
                    && links == 0
                {
                    let characters = text.chars().filter(|character| !character.is_whitespace()).count();
                    // In halves, so that loose text has a weight, too.
                    weights[id] = characters * if paragraphs > 0 { 2 } else { 1 };
                }
            }
            Visit::Leave(id) => {
                let name = tree.name(id);
                links -= usize::from(name == "a");
                paragraphs -= usize::from(PARAGRAPHS.contains(&name));
                if let Some(parent) = tree.nodes[id].parent {
                    weights[parent] += weights[id];
                }
            }
        },
    );
    weights
}

/// The smallest part that the page itself calls the main one, if most of its text is there.
fn marked_part(tree: &Tree, weights: &[usize], left_out: &[bool]) -> Option<Id> {
    let (mut mains, mut articles) = (Vec::new(), Vec::new());
    tree.walk(
        ROOT,
        |id| !left_out[id],
        |visit| {
            if let Visit::Enter(id) = visit {
                match tree.name(id) {
                    "main" => mains.push(id),
                    "article" => articles.push(id),
                    _ if tree.attribute(id, "role") == Some("main") => mains.push(id),
                    _ if tree.attribute(id, "itemprop") == Some("articleBody") => mains.push(id),
                    _ => {}
                }
            }
        },
    );
    let marked = mains.into_iter().chain(articles);
    marked.filter(|id| weights[*id] * 10 >= weights[ROOT] * 6).min_by_key(|id| weights[*id])
}

/// Down from the top, as long as one child holds nearly all.
fn heaviest(tree: &Tree, weights: &[usize], left_out: &[bool]) -> Id {
    let mut at = ROOT;
    while let Some(next) = tree.children(at).max_by_key(|child| weights[*child]) {
        // One cell that holds the page is a layout of the old days; a list is no page.
        let name = tree.name(next);
        let is_block = !name.is_empty() && (name == "td" || !PARAGRAPHS.contains(&name)) && !LISTS.contains(&name);
        let has_heading_beside = tree
            .children(at)
            .any(|child| child != next && !left_out[child] && matches!(tree.name(child), "h1" | "h2" | "hgroup"));
        if !is_block || has_heading_beside || weights[next] * 10 < weights[at] * 9 || weights[next] == 0 {
            break;
        }
        at = next;
    }
    // Part of a table is none without the table.
    while let ("table" | "thead" | "tbody" | "tfoot" | "tr", Some(parent)) = (tree.name(at), tree.nodes[at].parent) {
        at = parent;
    }
    at
}
