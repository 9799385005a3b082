"""Cases of images."""

from __future__ import annotations

from support.cases.checks.audio import hears, sounds
from support.cases.checks.ended import done, either, ignored, rejected, reported, unreported
from support.cases.checks.images import dark_box, like, pixel, shape, size
from support.cases.checks.videos import lasts, shown
from support.cases.rows.base import BLUE, GREEN, RED, Case, test_image

MOVING = r"motion|moving|clip|video"
STILL = "(image|picture|photo)s? .*left out|left out.* (image|picture|photo)"

IMAGES = (
    Case(
        "01",
        "HEIC with a trailer",
        "done, 640 x 480, as plain.heic; the moving part is reported",
        {
            "01-heic-samsung-trailer/plain.heic": (*test_image(640, 480), unreported()),
            "01-heic-samsung-trailer/sef-trailer.heic": (*test_image(640, 480), unreported()),
            "01-heic-samsung-trailer/xmp-and-sef.heic": (*test_image(640, 480), unreported()),
            "01-heic-samsung-trailer/motion-photo.heic": (*test_image(640, 480), reported(MOVING)),
        },
    ),
    Case(
        "02",
        "bytes behind an AVIF",
        "done, 320 x 240, pixels as plain.avif; cut inside mdat: rejected as truncated",
        {
            "02-avif-trailing-bytes/plain.avif": (*test_image(320, 240), unreported()),
            "02-avif-trailing-bytes/newline.avif": (done, like("02-avif-trailing-bytes/plain.avif"), unreported()),
            "02-avif-trailing-bytes/html-comment.avif": (done, like("02-avif-trailing-bytes/plain.avif"), unreported()),
            "02-avif-trailing-bytes/zeros.avif": (done, like("02-avif-trailing-bytes/plain.avif"), unreported()),
            "made/02-cut.avif": (rejected("truncated"),),
        },
    ),
    Case(
        "03",
        "JPEG motion photo",
        "done, 640 x 480; the moving part is reported, of still.jpg nothing",
        {
            "03-jpeg-motion-photo/micro-video.jpg": (*test_image(640, 480), reported(MOVING)),
            "03-jpeg-motion-photo/no-marker.jpg": (*test_image(640, 480), reported(MOVING)),
            "03-jpeg-motion-photo/samsung-sef.jpg": (*test_image(640, 480), reported(MOVING)),
            "03-jpeg-motion-photo/still.jpg": (*test_image(640, 480), unreported()),
        },
    ),
    Case(
        "04",
        "two orientations",
        "turned once, by irot alone",
        {
            f"04-avif-heic-two-orientations/{name}.{suffix}": (
                (done, size(480, 640), pixel(0.995, 0.005, RED, 8), pixel(0.005, 0.005, GREEN, 8), unreported())
                if name.startswith("irot")
                else (*test_image(640, 480), unreported())
            )
            for name in ("plain", "exif6-only", "irot-only", "irot-and-exif6")
            for suffix in ("avif", "heic")
        },
    ),
    Case(
        "05",
        "PNG with a wrong CRC",
        "ancillary chunks: done, 400 x 300; IDAT: done with a warning, or rejected naming the CRC",
        {
            "05-png-bad-crc-ancillary/iccp-crc.png": test_image(400, 300),
            "05-png-bad-crc-ancillary/text-crc.png": test_image(400, 300),
            "05-png-bad-crc-ancillary/time-crc-after-idat.png": test_image(400, 300),
            "05-png-bad-crc-ancillary/idat-crc.png": (either((rejected("CRC"),), (done, reported("CRC"))),),
        },
    ),
    Case(
        "06",
        "PNG of iOS apps",
        "rejected naming CgBI",
        {
            "06-cgbi-iphone-png/AppIcon60x60.png": (rejected("CgBI"),),
        },
    ),
    Case(
        "07",
        "JPEG with DNL",
        "height-and-dnl done, 480 x 360; height-in-dnl the same, or rejected naming DNL",
        {
            "07-jpeg-dnl/height-and-dnl.jpg": test_image(480, 360),
            "07-jpeg-dnl/height-in-dnl.jpg": (either(test_image(480, 360), (rejected("DNL"),)),),
        },
    ),
    Case(
        "08",
        "CMYK with a profile that is none of CMYK",
        "done, colours as without the profile",
        {
            "08-cmyk-with-rgb-profile/no-profile.jpg": (done, size(320, 240), pixel(0.01, 0.01, (189, 53, 39))),
            "08-cmyk-with-rgb-profile/adobe-rgb-profile.jpg": (
                done,
                like("08-cmyk-with-rgb-profile/no-profile.jpg", 2),
            ),
            "08-cmyk-with-rgb-profile/grey-profile.jpg": (done, like("08-cmyk-with-rgb-profile/no-profile.jpg", 2)),
        },
    ),
    Case(
        "09",
        "grey with a profile",
        "done, 320 x 200, gamma as the profile says; a profile of another colour space is ignored",
        {
            "09-grey-with-profile/grey-alpha-gamma18.png": (done, size(320, 200), pixel(0.5, 0.5, (146, 146, 146))),
            "09-grey-with-profile/grey-gamma18.png": (done, size(320, 200), pixel(0.5, 0.5, (146, 146, 146))),
            "09-grey-with-profile/grey-gamma18.jpg": (done, size(320, 200), pixel(0.5, 0.5, (146, 146, 146))),
            "09-grey-with-profile/grey-gamma30.jpg": (done, size(320, 200), pixel(0.5, 0.5, (100, 100, 100))),
            "09-grey-with-profile/grey-rgb-profile.jpg": (done, size(320, 200), pixel(0.5, 0.5, (128, 128, 128))),
            "09-grey-with-profile/rgb-grey-profile.jpg": (done, size(320, 200), pixel(0.01, 0.01, RED)),
        },
    ),
    Case(
        "10",
        "MPO",
        "done, 640 x 480, the first image; the second one is reported",
        {
            "10-mpo-stereo/DSCF0001.MPO": (*test_image(640, 480), reported(STILL)),
            "10-mpo-stereo/phone-dual.jpg": (*test_image(640, 480), reported(STILL)),
        },
    ),
    Case(
        "11",
        "fax of 204 x 98 dpi",
        "shown as 1728 : 2254, the box square and black on white",
        {
            "11-fax-tiff-204x98/g3.tif": (done, shape(1728, 2254), dark_box),
            "11-fax-tiff-204x98/g4-black-is-zero.tif": (done, shape(1728, 2254), dark_box),
            "11-fax-tiff-204x98/g4-white-is-zero.tif": (done, shape(1728, 2254)),
            "11-fax-tiff-204x98/jpeg-jfif-204x98.jpg": (done, either((shape(1728, 2254),), (shape(1728, 1083),))),
        },
    ),
    Case(
        "12",
        "GIF of an odd canvas",
        "done, 100 x 80, all frames",
        {
            f"12-gif-odd-canvas/{name}.gif": (done, size(100, 80), pixel(0.5, 0.5, (220, 30, 30)))
            for name in ("canvas-0x0", "delay-0", "frame-larger-than-canvas", "frame-outside-canvas")
        },
    ),
    Case(
        "13",
        "GIF whose first frame is disposed of",
        "done, 100 x 80, transparent where nothing is drawn",
        {
            f"13-gif-first-frame-disposal/{name}.gif": (
                done,
                size(100, 80),
                pixel(0.25, 0.25, (220, 30, 30, 255)),
                pixel(0.98, 0.02, (0, 0, 0, 0)),
            )
            for name in ("keep", "none-said", "restore-background", "restore-previous")
        },
    ),
    Case(
        "14",
        "a strip of 20,000 lines",
        "done, 400 x 20,000",
        {
            "14-long-strip/webtoon.jpg": (
                done,
                size(400, 20_000),
                pixel(0.005, 0.0002, RED, 8),
                pixel(0.995, 0.0002, BLUE, 8),
            ),
        },
    ),
    Case(
        "15",
        "BMP oddities",
        "done, 200 x 150, upright; opaque unless V4 says otherwise",
        {
            "15-bmp-oddities/32bit-fourth-byte-zero.bmp": (*test_image(200, 150), pixel(0, 0, (*RED, 255), 8)),
            "15-bmp-oddities/565.bmp": test_image(200, 150),
            "15-bmp-oddities/rle8.bmp": test_image(200, 150),
            "15-bmp-oddities/top-down-24bit.bmp": test_image(200, 150),
            "15-bmp-oddities/v4-real-alpha.bmp": (
                done,
                size(200, 150),
                pixel(0, 0, (*RED, 0), 8),
                pixel(1, 0, (*BLUE, 255), 8),
            ),
        },
    ),
    Case(
        "16",
        "text",
        "ignored",
        {
            **{
                f"16-text-taken-for-media/{name}": (ignored,)
                for name in (
                    "Album.csv",
                    "BLP1 plan.txt",
                    "ID3 tags explained.md",
                    "Index.ini",
                    "P1 notes.md",
                    "The free software list.txt",
                    "Tracks.txt",
                    "empty-bom.csv",
                )
            },
            **{f"made/16-{number}.txt": (ignored,) for number in range(13)},
        },
    ),
    Case(
        "18",
        "media by their names",
        "ac3, tta, w64 done, 4 s; ogv 320 x 180, 3 s; others done or rejected by name",
        {
            **{
                f"18-real-media-by-its-name/{name}": (done, sounds(4.0), hears({1.0: 440, 3.0: 440}), unreported())
                for name in ("dvd-track.ac3", "song.tta", "take.w64")
            },
            "18-real-media-by-its-name/theora-after-vorbis.ogv": (
                done,
                shown(320, 180),
                lasts(3.0),
                sounds(3.0),
                unreported(),
            ),
            **{
                f"18-real-media-by-its-name/{name}": (rejected(word, "not supported"),)
                for name, word in {
                    "camera.mxf": "MXF",
                    "render.tga": "TGA",
                    "old.pcx": "PCX",
                    "arrow.cur": "CUR",
                    "icon.ico": "ICO",
                    "clip.y4m": "YUV4MPEG2",
                    "camera.h264": "H.264",
                }.items()
            },
        },
    ),
    Case(
        "19",
        "DSD",
        "done, or rejected naming DSD",
        {
            "19-dsd-files/track.dff": (rejected("DSD"),),
            "19-dsd-files/track.dsf": (rejected("DSD"),),
        },
    ),
)
