//! What ships under saga-definitions/: every definition is sound, drawn as it is, and does what its script says. So is the
//! flow that docs/saga-language.md begins with.

use std::{
    fs,
    path::{Path, PathBuf},
};

use makegood_saga::{
    definition::Definition,
    draw,
    rehearsal::{Script, rehearse},
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../saga-definitions")
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder can be listed").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    files.sort();
    assert!(!files.is_empty(), "{} has definitions", folder.display());
    files
}

fn definition(file: &Path) -> Definition {
    let yaml = fs::read_to_string(file).expect("a definition is text");
    Definition::parse(&yaml).unwrap_or_else(|error| panic!("{}:\n{error}", file.display()))
}

#[test]
fn every_definition_is_sound_and_is_named_as_its_file() {
    for file in yaml_files(&folder()) {
        let definition = definition(&file);
        let name = format!("{}.v{}.yaml", definition.name, definition.version);
        assert_eq!(file.file_name().and_then(|name| name.to_str()), Some(name.as_str()));
        let yaml = fs::read_to_string(&file).expect("a definition is text");
        assert!(yaml.starts_with("# yaml-language-server: $schema=saga.schema.json\n"), "{name} names its schema");
    }
}

#[test]
fn every_drawing_is_current() {
    for file in yaml_files(&folder()) {
        let definition = definition(&file);
        for (ending, output, drawn) in
            [("svg", "svg", draw::svg(&definition, None)), ("mmd", "mermaid", draw::mermaid(&definition, None))]
        {
            let snapshot = file.with_extension(ending);
            let stored = fs::read_to_string(&snapshot).unwrap_or_default();
            assert!(
                stored == drawn,
                "{} is not current: makegood saga draw {} -o {output} > {}",
                snapshot.display(),
                file.display(),
                snapshot.display()
            );
        }
    }
}

#[test]
fn every_definition_does_what_its_script_says() {
    let scripts = folder().join("tests");
    for file in yaml_files(&folder()) {
        let script = scripts.join(file.file_name().expect("a file has a name"));
        let yaml = fs::read_to_string(&script).unwrap_or_else(|error| panic!("{}: {error}", script.display()));
        let script = Script::parse(&yaml).unwrap_or_else(|error| panic!("{}: {error}", script.display()));
        assert_eq!(scripts.join(&script.definition).canonicalize().ok(), file.canonicalize().ok());
        goes_as_expected(&definition(&file), &script);
    }
}

fn goes_as_expected(definition: &Definition, script: &Script) {
    for case in &script.cases {
        let rehearsal = rehearse(definition, case);
        let timeline: Vec<String> = rehearsal.timeline.iter().map(ToString::to_string).collect();
        assert!(rehearsal.misses.is_empty(), "{}\n{:#?}\n{}", case.case, rehearsal.misses, timeline.join("\n"));
    }
}

#[test]
fn the_flow_of_the_language_page_is_sound_and_does_what_its_script_says() {
    let page = fs::read_to_string(folder().join("../docs/saga-language.md")).expect("the page is text");
    let block = |word: &str| {
        let mut blocks = page.split("```yaml\n").skip(1).filter_map(|block| block.split("```").next());
        blocks.find(|block| block.contains(word)).unwrap_or_else(|| panic!("a block has `{word}`"))
    };
    let definition = Definition::parse(block("saga: gift-wrap")).unwrap_or_else(|error| panic!("{error}"));
    let script = Script::parse(block("cases:")).unwrap_or_else(|error| panic!("{error}"));
    goes_as_expected(&definition, &script);
}
