"""What libav may use for untrusted files: everything else is as if it had not been built."""

from __future__ import annotations

from mediactl.model import formats

PROTOCOLS = "fd"
"""Protocols that a source may use: its descriptor, and so no other file and no network."""
DEMUXERS = ",".join(formats.DEMUXERS)
"""Containers that are opened."""
_VIDEO = """
    012v 8bps aasc aic amv asv1 asv2 aura2 av1 avrn avrp avui ayuv bitpacked bmp camstudio camtasia cavs cfhd cinepak
    cljr cllc cscd cyuv dirac dnxhd dpx dvvideo dxtory dxv escape124 escape130 ffv1 ffvhuff fic flashsv flashsv2 flv
    fraps frwu g2m gif h261 h263 h263i h263p h264 hap hevc hq_hqa hqx huffyuv hymt indeo2 indeo3 indeo4 indeo5 jpeg2000
    jpegls kgv1 lagarith libaom-av1 libdav1d libdavs2 libopenh264 libuavs3d libvpx libvpx-vp9 loco lscr m101 magicyuv
    media100 mimic mjpeg mjpegb mpeg1video mpeg2video mpeg4 mpegvideo msa1 mscc msmpeg4 msmpeg4v1 msmpeg4v2 msrle mss1
    mss2 msvideo1 mszh mts2 mvha mwsc mxpeg notchlc pixlet png prores prores_raw qdraw qpeg qtrle r10k r210 rasc
    rawvideo rpza rscc rv10 rv20 rv30 rv40 rv60 scpr screenpresso sheervideo smc snow sp5x speedhq srgc svq1 svq3 targa
    targa_y216 tdsc theora tiff tscc tscc2 ultimotion utvideo v210 v210x v308 v408 v410 vble vc1 vc1image vcr1 vmnc vp3
    vp4 vp5 vp6 vp6a vp6f vp7 vp8 vp9 vvc webp wmv1 wmv2 wmv3 wmv3image wnv1 xl y41p ylc yuv4 zerocodec zlib zmbv
"""
_AUDIO = """
    aac aac_fixed aac_latm ac3 ac3_fixed adpcm_ct adpcm_dtk adpcm_ima_amv adpcm_ima_apm adpcm_ima_dk3 adpcm_ima_dk4
    adpcm_ima_oki adpcm_ima_qt adpcm_ima_wav adpcm_ms adpcm_sanyo adpcm_sbpro_2 adpcm_sbpro_3 adpcm_sbpro_4 adpcm_swf
    adpcm_yamaha alac als amrnb amrwb ape atrac1 atrac3 atrac3al atrac3plus atrac3plusal atrac9 comfortnoise cook dca
    dolby_e dsd_lsbf dsd_lsbf_planar dsd_msbf dsd_msbf_planar dss_sp dst dvaudio eac3 evrc flac g722 g723_1 g726 g726le
    g728 g729 gsm gsm_ms iac ilbc imc libfdk_aac libgsm libgsm_ms libilbc libopencore_amrnb libopencore_amrwb libopus
    libspeex libvorbis mace3 mace6 metasound misc4 mlp mp1 mp1float mp2 mp2float mp3 mp3adu mp3adufloat mp3float mp3on4
    mp3on4float mpc7 mpc8 msnsiren nellymoser on2avc opus pcm_alaw pcm_bluray pcm_dvd pcm_f16le pcm_f24le pcm_f32be
    pcm_f32le pcm_f64be pcm_f64le pcm_lxf pcm_mulaw pcm_s16be pcm_s16be_planar pcm_s16le pcm_s16le_planar pcm_s24be
    pcm_s24daud pcm_s24le pcm_s24le_planar pcm_s32be pcm_s32le pcm_s32le_planar pcm_s64be pcm_s64le pcm_s8
    pcm_s8_planar pcm_u16be pcm_u16le pcm_u24be pcm_u24le pcm_u32be pcm_u32le pcm_u8 pcm_vidc qcelp qdm2 qdmc qoa ra_144
    ra_288 ralf real_144 real_288 s302m sipr siren speex tak truehd truespeech tta twinvq vorbis wavpack wmalossless
    wmapro wmav1 wmav2 wmavoice xma1 xma2
"""
_SUBTITLES = """
    ass cc_dec dvbsub dvdsub jacosub microdvd mov_text mpl2 pgssub pjs realtext sami srt ssa stl subrip subviewer
    subviewer1 text vplayer webvtt xsub
"""
DECODERS = frozenset(f"{_VIDEO} {_AUDIO} {_SUBTITLES}".split())
"""Decoders that cameras, phones, editors, streaming and screen recorders need, in the containers that are opened.
Not those of games and of their consoles, of obscure still images, nor those that parse other languages (librsvg) or
pointers (wrapped_avframe)."""
LISTS = {
    "protocol_whitelist": PROTOCOLS,
    "format_whitelist": DEMUXERS,
    "codec_whitelist": ",".join(sorted(DECODERS)),
}
"""The same, as options of libav."""
