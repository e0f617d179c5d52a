//! A definition as SVG, laid out by hand: steps downwards, parallel ones side by side, what undoes them in a column to the
//! right that is read upwards, and a line across where there is no way back.

use super::words;
use crate::{definition::Definition, state::State};

/// All lengths are pixels. The text is monospaced, so its width is known without a font.
const CHARACTER: usize = 8;
const LINE: usize = 17;
/// Around everything, and within a box beside its text.
const MARGIN: usize = 20;
/// Within a box, above and below its text.
const PADDING: usize = 10;
/// Between boxes that follow each other; room for an arrow, and for the line of no return with its words.
const DOWN: usize = 40;
/// Between boxes of a group.
const BESIDE: usize = 16;
/// Around the boxes of a group, whose words stand above them.
const GROUP: usize = 14;
/// Between the steps and what undoes them.
const ACROSS: usize = 60;
/// How round a box's corners are.
const SQUARE: usize = 4;
const ROUND: usize = 13;
/// Where it ends.
const COMPLETED: &str = "completed";
const COMPENSATED: &str = "compensated";

const STYLE: &str = "\
text{font:13px ui-monospace,Menlo,Consolas,monospace;fill:#1a1a1a;text-anchor:middle}\
.name{font-weight:bold}.small{font-size:11px;fill:#555}\
.box{fill:#fff;stroke:#444;stroke-width:1.5}.await{fill:#fffbec}.pivot{stroke-width:4}\
.undo{fill:#f8f4f8;stroke:#8a3a86;stroke-dasharray:5 3}.group{fill:#f4f5f7;stroke:#bbb}\
.end{fill:#444}.endword{fill:#fff}\
.go{stroke:#444;stroke-width:1.5;fill:none;marker-end:url(#go)}\
.back{stroke:#8a3a86;stroke-width:1.5;stroke-dasharray:5 3;fill:none;marker-end:url(#back)}\
.has{stroke:#8a3a86;stroke-dasharray:2 4;fill:none}\
.noreturn{stroke:#b32626;stroke-width:2;stroke-dasharray:10 5}.warn{fill:#b32626}";

/// The drawing, a whole file.
pub fn svg(definition: &Definition, state: Option<&State>) -> String {
    let mut drawing = Drawing::of(definition, state);
    drawing.draw();
    drawing.finish()
}

/// A box that is drawn.
#[derive(Clone, Copy)]
struct Rect {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

impl Rect {
    const fn middle(self) -> usize {
        self.x + self.width / 2
    }

    const fn bottom(self) -> usize {
        self.y + self.height
    }

    const fn right(self) -> usize {
        self.x + self.width
    }
}

struct Drawing<'a> {
    definition: &'a Definition,
    state: Option<&'a State>,
    /// Width of each step's box.
    step_width: usize,
    /// Width of the steps' column.
    forward_width: usize,
    undo_width: usize,
    /// How far down it is drawn.
    y: usize,
    /// Boxes that undo, from the first step to the last.
    undos: Vec<Rect>,
    elements: Vec<String>,
}

impl<'a> Drawing<'a> {
    fn of(definition: &'a Definition, state: Option<&'a State>) -> Self {
        let width = |text: &str| text.chars().count() * CHARACTER + 2 * MARGIN;
        let steps = (0..definition.steps.len()).chain(definition.finally.iter().map(|_| definition.steps.len()));
        let widest = steps.flat_map(|index| words::lines(definition, index)).map(|line| width(&line)).max();
        let step_width = widest.unwrap_or_default();
        let most = definition.stages.iter().map(std::ops::Range::len).max().unwrap_or(1);
        let stages_width = if most > 1 { most * (step_width + BESIDE) - BESIDE + 2 * GROUP } else { step_width };
        let forward_width =
            [title(definition).as_str(), COMPLETED].map(width).into_iter().fold(stages_width, usize::max);
        let undo_width = undos(definition, 0..definition.steps.len()).map(width).max();
        let undo_width = undo_width.map_or(0, |widest| widest.max(width(COMPENSATED)));
        Self {
            definition,
            state,
            step_width,
            forward_width,
            undo_width,
            y: MARGIN,
            undos: Vec::new(),
            elements: Vec::new(),
        }
    }

    fn draw(&mut self) {
        let mut from = self.end(self.middle(), self.y, &title(self.definition));
        let top = from;
        for stage in self.definition.stages.clone() {
            // What undoes a stage may need more room than the stage itself.
            self.y = self.lowest(from) + DOWN;
            let next = self.stage(&stage);
            self.arrow(from, next);
            self.undo_of(&stage, next);
            if self.definition.pivot == Some(stage.start) {
                self.line_of_no_return(next);
            }
            from = next;
        }
        if self.definition.finally.is_some() {
            self.y = self.lowest(from) + DOWN;
            let next = self.step(self.middle() - self.step_width / 2, self.definition.steps.len(), self.lines());
            self.arrow(from, next);
            from = next;
        }
        self.y = self.lowest(from) + DOWN;
        let end = self.end(self.middle(), self.y, COMPLETED);
        self.arrow(from, end);
        self.y = end.bottom() + MARGIN;
        self.way_back(top);
    }

    /// The lower end of a stage's box, or of what undoes the stages so far.
    fn lowest(&self, stage: Rect) -> usize {
        self.undos.last().map_or(0, |undo| undo.bottom()).max(stage.bottom())
    }

    /// The middle of the steps' column.
    const fn middle(&self) -> usize {
        MARGIN + self.forward_width / 2
    }

    const fn undo_x(&self) -> usize {
        MARGIN + self.forward_width + ACROSS
    }

    const fn width(&self) -> usize {
        let undo = if self.undo_width > 0 { ACROSS + self.undo_width } else { 0 };
        2 * MARGIN + self.forward_width + undo
    }

    /// One line more for how it stands.
    const fn lines(&self) -> usize {
        if self.state.is_some() { 1 } else { 0 }
    }

    fn stage(&mut self, stage: &std::ops::Range<usize>) -> Rect {
        let lines = stage.clone().map(|index| words::lines(self.definition, index).len()).max().unwrap_or_default();
        if stage.len() == 1 {
            return self.step(self.middle() - self.step_width / 2, stage.start, self.lines());
        }
        let width = stage.len() * (self.step_width + BESIDE) - BESIDE + 2 * GROUP;
        let height = LINE + GROUP + (lines + self.lines()) * LINE + 2 * PADDING + GROUP;
        let group = Rect { x: self.middle() - width / 2, y: self.y, width, height };
        self.rect(group, "group", SQUARE, "");
        self.text(group.middle(), group.y + LINE, "small", words::AT_ONCE);
        self.y += LINE + GROUP;
        for (place, index) in stage.clone().enumerate() {
            let missing = lines - words::lines(self.definition, index).len();
            self.step(group.x + GROUP + place * (self.step_width + BESIDE), index, missing + self.lines());
        }
        group
    }

    /// A step's box, with room for further lines.
    fn step(&mut self, x: usize, index: usize, room: usize) -> Rect {
        let mut lines = words::lines(self.definition, index);
        let rect = Rect { x, y: self.y, width: self.step_width, height: (lines.len() + room) * LINE + 2 * PADDING };
        let standing = self.state.and_then(|state| words::standing(self.definition, state, index));
        let colours = standing.map_or_else(String::new, |standing| {
            format!(" style=\"fill:{};stroke:{}\"", standing.fill, standing.border)
        });
        let kind = if words::is_await(self.definition, index) { "box await" } else { "box" };
        let pivot = if self.definition.pivot == Some(index) { " pivot" } else { "" };
        self.rect(rect, &format!("{kind}{pivot}"), SQUARE, &colours);
        lines.extend(standing.map(|standing| format!("[{}]", standing.word)));
        for (number, line) in lines.iter().enumerate() {
            let class = if number == 0 { "name" } else { "line" };
            self.text(rect.middle(), rect.y + PADDING + number * LINE + LINE * 3 / 4, class, line);
        }
        rect
    }

    /// What undoes a stage, beside it.
    fn undo_of(&mut self, stage: &std::ops::Range<usize>, beside: Rect) {
        let lines: Vec<&str> = undos(self.definition, stage.clone()).collect();
        if lines.is_empty() {
            return;
        }
        let height = lines.len() * LINE + 2 * PADDING;
        let y = beside.y + beside.height.saturating_sub(height) / 2;
        let rect = Rect { x: self.undo_x(), y, width: self.undo_width, height };
        self.rect(rect, "undo", ROUND, "");
        for (number, line) in lines.iter().enumerate() {
            self.text(rect.middle(), y + PADDING + number * LINE + LINE * 3 / 4, "line", line);
        }
        let across = y + height / 2;
        self.elements.push(format!("<path class=\"has\" d=\"M{} {across}H{}\"/>", beside.right(), rect.x));
        self.undos.push(rect);
    }

    /// From each undo up to the one before it, and to the end where all is made good.
    fn way_back(&mut self, top: Rect) {
        let Some(first) = self.undos.first().copied() else { return };
        for pair in self.undos.clone().windows(2) {
            self.elements.push(format!(
                "<path class=\"back\" d=\"M{} {}V{}\"/>",
                pair[1].middle(),
                pair[1].y,
                pair[0].bottom()
            ));
        }
        let end = self.end(first.middle(), top.y, COMPENSATED);
        self.elements.push(format!("<path class=\"back\" d=\"M{} {}V{}\"/>", first.middle(), first.y, end.bottom()));
    }

    fn line_of_no_return(&mut self, after: Rect) {
        let (y, right) = (after.bottom() + DOWN / 2, self.width() - MARGIN);
        self.elements.push(format!("<path class=\"noreturn\" d=\"M{MARGIN} {y}H{right}\"/>"));
        let x = MARGIN + words::NO_RETURN.len() * CHARACTER / 2;
        self.text(x, y - LINE / 3, "small warn", words::NO_RETURN);
    }

    /// Where it begins or ends.
    fn end(&mut self, middle: usize, y: usize, word: &str) -> Rect {
        let width = word.chars().count() * CHARACTER + 2 * MARGIN;
        let rect = Rect { x: middle - width / 2, y, width, height: LINE + PADDING };
        self.rect(rect, "end", ROUND, "");
        self.text(middle, y + PADDING / 2 + LINE * 3 / 4, "endword", word);
        rect
    }

    fn arrow(&mut self, from: Rect, to: Rect) {
        self.elements.push(format!("<path class=\"go\" d=\"M{} {}V{}\"/>", from.middle(), from.bottom(), to.y));
    }

    fn rect(&mut self, rect: Rect, class: &str, corner: usize, style: &str) {
        let Rect { x, y, width, height } = rect;
        self.elements.push(format!(
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{corner}\"{style}/>"
        ));
    }

    fn text(&mut self, x: usize, y: usize, class: &str, text: &str) {
        self.elements.push(format!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>", escaped(text)));
    }

    fn finish(self) -> String {
        let (width, height) = (self.width(), self.y);
        let title = format!("The saga {} v{}", escaped(&self.definition.name), self.definition.version);
        let marker = |id: &str, colour: &str| {
            format!(
                "<marker id=\"{id}\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\">\
                 <path d=\"M0 0L8 4L0 8Z\" fill=\"{colour}\"/></marker>"
            )
        };
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n<defs>{}{}</defs>\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n{}\n</svg>\n",
            marker("go", "#444"),
            marker("back", "#8a3a86"),
            self.elements.join("\n"),
        )
    }
}

/// The commands that undo these steps.
fn undos(definition: &Definition, steps: std::ops::Range<usize>) -> impl Iterator<Item = &str> {
    steps.filter_map(|index| definition.command_at(index)?.compensate.as_deref())
}

fn title(definition: &Definition) -> String {
    format!("{} v{}", definition.name, definition.version)
}

/// XML 1.0 (2.2) has no way to write some characters at all.
fn escaped(text: &str) -> String {
    let is_xml = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    let text: String = text.chars().map(|c| if is_xml(c) { c } else { char::REPLACEMENT_CHARACTER }).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
