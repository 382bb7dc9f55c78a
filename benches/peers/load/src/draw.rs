//! Pictures of earlier runs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use stanchion_load::Report;
use stanchion_load::svg::{self, Mark};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// What stands above.
    #[arg(long)]
    title: String,
    /// p99 should be within so many milliseconds.
    #[arg(long)]
    limit_ms: Option<f64>,
    /// Writes the latency curves there.
    #[arg(long)]
    percentiles: Option<PathBuf>,
    /// Writes the first report over time there.
    #[arg(long)]
    over_time: Option<PathBuf>,
    /// Something that happened: `NAME=FROM-TO` in seconds.
    #[arg(long)]
    mark: Vec<String>,
    /// `NAME=REPORT.json`.
    #[arg(required = true)]
    reports: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let reports: Vec<(&str, Report)> = options
        .reports
        .iter()
        .map(|named| named_report(named))
        .collect::<Result<_>>()?;
    if let Some(file) = &options.percentiles {
        let named: Vec<_> = reports
            .iter()
            .map(|(name, report)| (*name, report))
            .collect();
        write(
            file,
            &svg::percentiles(&options.title, &named, options.limit_ms),
        )?;
    }
    if let (Some(file), Some((_, first))) = (&options.over_time, reports.first()) {
        let marks: Vec<Mark> = options
            .mark
            .iter()
            .map(|mark| parsed(mark))
            .collect::<Result<_>>()?;
        write(
            file,
            &svg::over_time(&options.title, first, &marks, options.limit_ms),
        )?;
    }
    Ok(())
}

fn named_report(named: &str) -> Result<(&str, Report)> {
    let (name, file) = named.split_once('=').context("NAME=REPORT.json")?;
    let text = fs::read(file).with_context(|| file.to_owned())?;
    Ok((name, serde_json::from_slice(&text)?))
}

fn parsed(mark: &str) -> Result<Mark> {
    let (name, range) = mark.split_once('=').context("NAME=FROM-TO")?;
    let (from, to) = range.split_once('-').context("NAME=FROM-TO")?;
    Ok(Mark {
        name: name.to_owned(),
        from: from.parse()?,
        to: to.parse()?,
    })
}

fn write(file: &Path, picture: &str) -> Result<()> {
    fs::write(file, picture).with_context(|| file.display().to_string())
}
