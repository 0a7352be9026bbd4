//! The operator's accent colour, made readable.

/// The accent of an operator who sets none; the stylesheet's own, too.
pub(crate) const DEFAULT_ACCENT: &str = "#0a6a6e";

/// The least contrast of the accent against its ground. WCAG asks 4.5; the light scheme keeps some room for tinted
/// grounds, and the dark one more, because a mid-tone on black looks dull.
const LIGHT_CONTRAST: f64 = 5.5;
const DARK_CONTRAST: f64 = 7.5;
/// The darkest ground that carries accent-coloured text in the light scheme, and the lightest one in the dark scheme.
const LIGHT_GROUND: [u8; 3] = [0xf3, 0xf5, 0xf4];
const DARK_GROUND: [u8; 3] = [0x1b, 0x23, 0x22];
/// The most saturated the accent may be on a dark ground, where strong colours glare.
const DARK_SATURATION: f64 = 0.55;
/// What is written on the accent.
const PALE: [u8; 3] = [0xff, 0xff, 0xff];
const INK: [u8; 3] = [0x0b, 0x14, 0x13];

/// The text of `/assets/brand.css` for an accent colour such as `#0a6a6e`; none if it is not a colour.
///
/// The colour is darkened for the light scheme and lightened for the dark one as far as reading needs, so that no choice
/// of an operator can make a link or a button unreadable.
pub(crate) fn brand_css(accent: &str) -> Option<String> {
    let (hue, saturation, lightness) = to_hsl(parse(accent)?);
    // Black stands out from the light ground and white from the dark one, so both searches end.
    let light = (0..=100)
        .map(|step| from_hsl(hue, saturation, lightness * (1.0 - f64::from(step) / 100.0)))
        .find(|colour| contrast(*colour, LIGHT_GROUND) >= LIGHT_CONTRAST)?;
    let dark = (0..=100)
        .map(|step| from_hsl(hue, saturation.min(DARK_SATURATION), lightness + (1.0 - lightness) * f64::from(step) / 100.0))
        .find(|colour| contrast(*colour, DARK_GROUND) >= DARK_CONTRAST)?;
    Some(format!(
        ":root {{\n  --brand: light-dark({}, {});\n  --on-brand: light-dark({}, {});\n}}\n",
        hex(light),
        hex(dark),
        hex(writing_on(light)),
        hex(writing_on(dark)),
    ))
}

/// Hue in degrees, saturation and lightness from 0 to 1.
fn to_hsl(colour: [u8; 3]) -> (f64, f64, f64) {
    let [r, g, b] = colour.map(|byte| f64::from(byte) / 255.0);
    let (most, least) = (r.max(g).max(b), r.min(g).min(b));
    let (spread, lightness) = (most - least, f64::midpoint(most, least));
    if spread == 0.0 {
        return (0.0, 0.0, lightness);
    }
    let hue = if most == r {
        ((g - b) / spread).rem_euclid(6.0)
    } else if most == g {
        (b - r) / spread + 2.0
    } else {
        (r - g) / spread + 4.0
    };
    (hue * 60.0, spread / (1.0 - (2.0 * lightness - 1.0).abs()), lightness)
}

fn from_hsl(hue: f64, saturation: f64, lightness: f64) -> [u8; 3] {
    let reach = saturation * lightness.min(1.0 - lightness);
    [0.0, 8.0, 4.0].map(|shift| {
        let place = (shift + hue / 30.0).rem_euclid(12.0);
        let share = lightness - reach * (place - 3.0).min(9.0 - place).clamp(-1.0, 1.0);
        (share * 255.0).round() as u8
    })
}

fn writing_on(colour: [u8; 3]) -> [u8; 3] {
    if contrast(PALE, colour) >= contrast(INK, colour) { PALE } else { INK }
}

/// The contrast ratio of WCAG 2.2: 1 to 21.
pub(super) fn contrast(a: [u8; 3], b: [u8; 3]) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn luminance(colour: [u8; 3]) -> f64 {
    let linear = |byte: u8| {
        let value = f64::from(byte) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * linear(colour[0]) + 0.7152 * linear(colour[1]) + 0.0722 * linear(colour[2])
}

/// `#rgb` or `#rrggbb`.
pub(super) fn parse(text: &str) -> Option<[u8; 3]> {
    let digits: Vec<u8> = text
        .strip_prefix('#')?
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|value| u8::try_from(value).ok()))
        .collect::<Option<_>>()?;
    match digits[..] {
        [r, g, b] => Some([r * 17, g * 17, b * 17]),
        [r1, r2, g1, g2, b1, b2] => Some([r1 * 16 + r2, g1 * 16 + g2, b1 * 16 + b2]),
        _ => None,
    }
}

fn hex([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}
