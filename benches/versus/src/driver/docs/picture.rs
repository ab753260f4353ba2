//! A picture: bars in panels side by side, with a row for each runtime. It is SVG whose text is
//! text.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::driver::estimate::Estimate;
use crate::driver::format;
use crate::measure::Figure;
use crate::peers::Kind;

pub struct Picture {
    pub name: &'static str,
    pub title: &'static str,
    pub note: String,
    /// What follows the unit below an axis.
    pub per: &'static str,
    /// Whether all panels have the same scale.
    pub shared: bool,
    pub panels: Vec<Panel>,
    pub rows: Vec<Row>,
}

pub struct Panel {
    pub title: String,
    pub figure: Figure,
}

pub struct Row {
    pub peer: String,
    pub kind: Kind,
    /// One for each panel.
    pub values: Vec<Value>,
}

#[derive(Clone, Copy)]
pub enum Value {
    Measured(Estimate),
    Failed(&'static str),
    /// Not run: this runtime or loop does not do it.
    Absent,
}

// All lengths are in pixels.
const WIDTH: u32 = 960;
const HEAD: u32 = 62;
const PANEL_HEAD: u32 = 28;
const ROW: u32 = 26;
const AXIS: u32 = 52;
const LEGEND: u32 = 30;
/// For the names, to the left of all panels.
const NAMES: u32 = 128;
/// For the figures, to the right of the bars of each panel.
const FIGURES: u32 = 70;
/// The part of it that separates them from the next panel's bars.
const GAP: u32 = 26;

const INK: RGBColor = RGBColor(0x24, 0x29, 0x2f);
const PALE_INK: RGBColor = RGBColor(0x57, 0x60, 0x6a);
const GRID: RGBColor = RGBColor(0xe4, 0xe7, 0xea);
/// From the palette of Okabe and Ito, which colour-blind readers can tell apart: a warm colour for
/// ours, cool and grey ones for the rest.
const OURS: RGBColor = RGBColor(0xd5, 0x5e, 0x00);

fn colour(kind: Kind) -> RGBColor {
    match kind {
        Kind::Ours => OURS,
        Kind::Spinning => RGBColor(0xee, 0xb0, 0x7c),
        Kind::Epoll => RGBColor(0x8c, 0xc4, 0xe8),
        Kind::IoUring => RGBColor(0x00, 0x72, 0xb2),
        Kind::IoUringSpinning => RGBColor(0x5a, 0x9b, 0xc8),
        Kind::Bare => RGBColor(0xb4, 0xb8, 0xbc),
    }
}

fn meaning(kind: Kind) -> &'static str {
    match kind {
        Kind::Ours => "aio-runtime",
        Kind::Spinning => "the same, spinning",
        Kind::Epoll => "runtime on epoll, threads for files",
        Kind::IoUring => "runtime on io_uring",
        Kind::IoUringSpinning => "runtime on io_uring, spinning",
        Kind::Bare => "bare loop, no runtime",
    }
}

/// Text of a size in pixels.
fn words<'a>(size: f64, colour: RGBColor, across: HPos) -> TextStyle<'a> {
    // plotters takes the height of a line for the size.
    ("sans-serif", size * 1.24).into_font().color(&colour).pos(Pos::new(across, VPos::Center))
}

/// The unit of a panel's bars.
#[derive(Clone, Copy)]
struct Unit {
    name: &'static str,
    size: f64,
}

impl Unit {
    /// Chosen so that the greatest figure reads well.
    fn of(figure: Figure, greatest: f64) -> Unit {
        let (name, size) = match figure {
            Figure::Cpu | Figure::P50 | Figure::P99 | Figure::P999 => match greatest {
                ns if ns < 1e3 => ("ns", 1.0),
                ns if ns < 1e6 => ("µs", 1e3),
                _ => ("ms", 1e6),
            },
            Figure::Resident | Figure::Peak | Figure::BytesEach => ("bytes", 1.0),
            Figure::Throughput | Figure::Written => ("per second", 1.0),
            Figure::Busy => ("of a core", 1.0),
            Figure::SystemCalls => ("system calls", 1.0),
        };
        Unit { name, size }
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a> = DrawingArea<SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

impl Picture {
    pub fn file_name(&self) -> String {
        format!("{}.svg", self.name)
    }

    pub fn to_svg(&self) -> Result<String> {
        let mut svg = String::new();
        self.draw(&mut svg).map_err(|error| anyhow!("draw {}: {error}", self.name))?;
        Ok(svg)
    }

    fn draw(&self, svg: &mut String) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
        let bars = ROW * self.rows.len() as u32;
        let height = HEAD + PANEL_HEAD + bars + AXIS + LEGEND;
        let root = SVGBackend::with_string(svg, (WIDTH, height)).into_drawing_area();
        // Otherwise readers in dark mode would see black letters on black.
        root.fill(&WHITE)?;
        let title = words(17.0, INK, HPos::Left);
        root.draw_text(&format!("{} (lower is better)", self.title), &title, (16, 22))?;
        root.draw_text(&self.note, &words(12.5, PALE_INK, HPos::Left), (16, 45))?;

        let (_, below) = root.split_vertically(HEAD);
        let (body, legend) = below.split_vertically(height - HEAD - LEGEND);
        let (names, panels) = body.split_horizontally(NAMES);
        for (index, row) in self.rows.iter().enumerate() {
            let middle = PANEL_HEAD + ROW * index as u32 + ROW / 2;
            let ink = if row.kind == Kind::Ours { OURS } else { INK };
            names.draw_text(&row.peer, &words(13.5, ink, HPos::Right), (NAMES as i32 - 8, middle as i32))?;
        }
        let areas = panels.split_evenly((1, self.panels.len()));
        for (index, area) in areas.iter().enumerate() {
            self.draw_panel(index, area)?;
        }
        self.draw_legend(&legend)?;
        root.present()
    }

    fn draw_panel(&self, index: usize, area: &Area) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
        let panel = &self.panels[index];
        let unit = Unit::of(panel.figure, self.greatest(index, |figures| figures.median));
        // Room for whiskers, but an uncertain figure must not make all bars small.
        let end =
            self.greatest(index, |figures| figures.high.min(1.5 * figures.median)).max(f64::MIN_POSITIVE) / unit.size;

        let (width, _) = area.dim_in_pixel();
        let (bars, beside_bars) = area.split_horizontally(width - FIGURES);
        area.draw_text(&panel.title, &words(13.5, INK, HPos::Left), (0, 12))?;
        let mut chart = ChartBuilder::on(&bars)
            .margin_top(PANEL_HEAD)
            .x_label_area_size(AXIS)
            .build_cartesian_2d(0.0..1.02 * end, self.rows.len() as f64..0.0)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(GRID)
            .x_labels(4)
            .x_label_formatter(&|x| format!("{}", (x * 1e6).round() / 1e6))
            .label_style(words(12.0, PALE_INK, HPos::Center))
            .draw()?;
        // plotters would centre it below the bars, but it belongs to the figures as well.
        let under = (0, (PANEL_HEAD + ROW * self.rows.len() as u32 + AXIS - 16) as i32);
        let below = format!("{}{}", unit.name, self.per);
        area.draw_text(&below, &words(12.5, PALE_INK, HPos::Left), under)?;

        let plane = chart.plotting_area();
        for (at, row) in self.rows.iter().enumerate() {
            let middle = at as f64 + 0.5;
            let beside = ((FIGURES - GAP) as i32, (PANEL_HEAD + ROW * at as u32 + ROW / 2) as i32);
            match row.values[index] {
                Value::Measured(figures) => {
                    let scaled = figures.times(1.0 / unit.size);
                    draw_bar(plane, middle, scaled, end, colour(row.kind))?;
                    let ink = if row.kind == Kind::Ours { OURS } else { INK };
                    beside_bars.draw_text(&format::short(scaled.median), &words(13.0, ink, HPos::Right), beside)?;
                }
                Value::Failed(how) => {
                    let style = words(13.0, INK, HPos::Left);
                    plane.draw(&(EmptyElement::at((0.0, middle)) + Text::new(format!("✕ {how}"), (6, 0), style)))?;
                }
                Value::Absent => beside_bars.draw_text("–", &words(13.0, PALE_INK, HPos::Right), beside)?,
            }
        }
        let ours = self.rows.iter().find(|row| row.kind == Kind::Ours).map(|row| row.values[index]);
        if let Some(Value::Measured(Estimate { median, .. })) = ours {
            let (x, bottom) = (median / unit.size, self.rows.len() as f64);
            plane.draw(&PathElement::new([(x, 0.0), (x, bottom)], OURS.mix(0.7).stroke_width(1)))?;
        }
        Ok(())
    }

    fn draw_legend(&self, area: &Area) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
        let mut kinds: Vec<Kind> = self.rows.iter().map(|row| row.kind).collect();
        kinds.dedup();
        let mut x = NAMES as i32;
        for kind in kinds {
            area.draw(&Rectangle::new([(x, 6), (x + 12, 18)], colour(kind).filled()))?;
            area.draw_text(meaning(kind), &words(12.5, PALE_INK, HPos::Left), (x + 18, 12))?;
            // An average letter is about this wide; the reader's font is not known here.
            x += 18 + 7 * meaning(kind).len() as i32 + 20;
        }
        Ok(())
    }

    /// The greatest in one panel, or in all if they have the same scale; 0 if there is none.
    fn greatest(&self, panel: usize, of: impl Fn(Estimate) -> f64) -> f64 {
        let looked_at = |row: &Row| if self.shared { row.values.clone() } else { vec![row.values[panel]] };
        let values = self.rows.iter().flat_map(looked_at).filter_map(|value| match value {
            Value::Measured(figures) => Some(of(figures)),
            Value::Failed(_) | Value::Absent => None,
        });
        values.fold(0.0, f64::max)
    }
}

/// A bar with its whiskers, cut off at the end of the axis.
fn draw_bar(
    plane: &Chart,
    middle: f64,
    Estimate { median, low, high, .. }: Estimate,
    end: f64,
    colour: RGBColor,
) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
    plane.draw(&Rectangle::new([(0.0, middle - 0.34), (median, middle + 0.34)], colour.filled()))?;
    if high > low {
        let ink = INK.mix(0.8).stroke_width(1);
        plane.draw(&PathElement::new([(low, middle), (high.min(end), middle)], ink))?;
        for tip in [low, high].into_iter().filter(|&tip| tip <= end) {
            plane.draw(&PathElement::new([(tip, middle - 0.16), (tip, middle + 0.16)], ink))?;
        }
    }
    Ok(())
}
